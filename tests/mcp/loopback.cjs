// loopback.cjs - node --require this: servers that would listen everywhere listen on loopback alone, and say where.
// _listen2 and not listen: some ask for their address before listen has come back to them.
const net = require("net");
const listen = net.Server.prototype._listen2;
net.Server.prototype._listen2 = function (address, port, type, ...rest) {
    this.once("listening", () => process.stderr.write("LISTENING " + this.address().port + "\n"));
    return listen.call(this, address ?? "127.0.0.1", port, address ? type : 4, ...rest);
};
