// published_server.mjs - node --import this: a published MCP server that is asked for its list of tools and for nothing else. It reaches no network, and a
// module that is named without its ending, which bundlers find and node does not, is found.
import { register } from "node:module";
import net from "node:net";

net.Socket.prototype.connect = () => {
    throw new Error("no connections in this test");
};

const hooks = `export async function resolve(name, context, next) {
    try {
        return await next(name, context);
    } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND" || name.endsWith(".js")) {
            throw error;
        }
        return next(name + ".js", context);
    }
}`;
register("data:text/javascript," + encodeURIComponent(hooks));
