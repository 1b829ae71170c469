// clients.mjs - MCP clients of others, each through what a host does with it: list, call, progress, a question answered, a task to its end.
//
//   node --input-type=module - CLIENT stdio|http TARGET... < clients.mjs        in a folder whose node_modules has the clients
//
// CLIENT: sdk1 (@modelcontextprotocol/sdk 1.x), client2 (@modelcontextprotocol/client 2.x, modern era), client2-legacy (the same as it is when
// nothing is said about eras), tasks-v1 and tasks-v2 (@modelcontextprotocol/ext-tasks on it, with either generation of tasks). TARGET: a URL, or
// the command of a server. The server offers conformance_module.c. A line for each thing done; anything unexpected ends it with status 1.
import assert from 'node:assert/strict';

const [which, over, ...target] = process.argv.slice(2);
const INFO = { name: `clients-test-${which}`, version: '1' };
const ELICITED = { username: 'ada', email: 'ada@example.com' };
const TASKS = 'io.modelcontextprotocol/tasks';

const did = what => console.log(`${which} ${over}: ${what}`);
const text = result => result.content[0].text;

function answer(request) {
    const schema = request.params.requestedSchema;
    const wanted = Object.keys(schema.properties);
    const content = {};
    for (const key of wanted) {
        const property = schema.properties[key];
        content[key] = ELICITED[key] ?? property.enum?.[0] ?? property.oneOf?.[0]?.const ?? { boolean: true, integer: 1, number: 1 }[property.type] ?? 'yes';
    }
    return { action: 'accept', content };
}

// ---- what every client is asked to do; client.call(name, arguments, options) and client.tools() are each one's own ----

async function list(client) {
    const tools = await client.tools();
    const names = tools.map(tool => tool.name);
    for (const name of ['greet', 'slow_compute', 'pawl_search', 'pawl_wait']) {
        assert(names.includes(name), `${name} is not listed`);
    }
    assert.deepEqual(names, [...names].sort());
    assert.equal(tools.find(tool => tool.name === 'greet').inputSchema.required[0], 'name');
    did(`${names.length} tools listed`);
}

async function call(client) {
    assert.equal(text(await client.call('greet', { name: 'Ada' })), 'Hello, Ada!');
    const failed = await client.call('test_error_handling', {});
    assert.equal(failed.isError, true);
    await assert.rejects(client.call('no_such_tool', {}), error => error.code === -32602);
    did('called: a result, an error of the tool, an error of the protocol');
}

async function progress(client) {
    const seen = [];
    await client.call('test_tool_with_progress', {}, { onprogress: p => seen.push(p.progress) });
    assert(seen.length > 0);
    assert.deepEqual(seen, [0, 50, 100].slice(0, seen.length)); // a client that reads the last one and the answer at once drops that one itself
    did(`progress ${seen.join(' ')}`);
}

async function elicitation(client) {
    const result = await client.call('test_elicitation', { message: 'Who are you?' });
    assert.match(text(result), /^User response: action=accept, content=.*ada@example\.com/);
    did('a question was asked and answered');
}

async function resources(client) {
    const { contents } = await client.read('test://static-text');
    assert.equal(contents[0].text, 'This is the content of the static text resource.');
    const { messages } = await client.prompt('test_prompt_with_arguments', { arg1: 'paris', arg2: 'park' });
    assert.match(messages[0].content.text, /arg1='paris', arg2='park'/);
    did('a resource read, a prompt got');
}

// ---- the clients ----

async function sdk1() {
    const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
    const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
    const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
    const { ElicitRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
    const client = new Client(INFO, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, answer);
    await client.connect(over === 'http' ? new StreamableHTTPClientTransport(new URL(target[0]))
                                         : new StdioClientTransport({ command: target[0], args: target.slice(1) }));
    const own = {
        tools: async () => (await client.listTools()).tools,
        call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
        read: uri => client.readResource({ uri }),
        prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    };
    await basics(own);
    await tasksOfSdk1(client);
    await client.close();
}

async function tasksOfSdk1(client) {
    const { CallToolResultSchema } = await import('@modelcontextprotocol/sdk/types.js');
    for (const [name, args, wanted] of [['slow_compute', { seconds: 0.3, label: 'x' }, /x/], ['confirm_delete', { filename: 'f' }, /f/]]) {
        const seen = [];
        let result;
        for await (const said of client.experimental.tasks.callToolStream({ name, arguments: args }, CallToolResultSchema, { task: { ttl: 60000 } })) {
            assert.notEqual(said.type, 'error', said.error?.message);
            seen.push(said.task?.status ?? said.type);
            result = said.result;
        }
        assert.match(JSON.stringify(result), wanted);
        did(`task ${name}: ${[...new Set(seen)].join(', ')}`);
    }
}

async function client2(mode, capabilities) {
    const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const client = new Client(INFO, { capabilities, ...(mode === 'modern' ? { versionNegotiation: { mode: 'auto' } } : {}) });
    if (capabilities.elicitation) {
        client.setRequestHandler('elicitation/create', answer);
    }
    const transport = over === 'http' ? new StreamableHTTPClientTransport(new URL(target[0]))
                                      : new StdioClientTransport({ command: target[0], args: target.slice(1) });
    await client.connect(transport);
    assert.equal(client.getProtocolEra(), mode);
    return { client, transport };
}

async function basicsOfClient2(mode) {
    const { client } = await client2(mode, { elicitation: {} });
    await basics({
        tools: async () => (await client.listTools()).tools,
        call: (name, args, options) => client.callTool({ name, arguments: args }, options),
        read: uri => client.readResource({ uri }),
        prompt: (name, args) => client.getPrompt({ name, arguments: args }),
    });
    await client.close();
}

// What the session of ext-tasks wants of its host in the modern era: a request as it is, and its answer as it is.
function rawDispatch(transport) {
    const waiting = new Map();
    const before = transport.onmessage;
    let number = 0;
    transport.onmessage = (message, extra) => {
        const settle = waiting.get(message.id);
        if (settle === undefined || message.method !== undefined) {
            before(message, extra);
            return;
        }
        waiting.delete(message.id);
        settle(message.error === undefined ? { kind: 'result', result: message.result } : { kind: 'error', error: message.error });
    };
    return request => new Promise((resolve, reject) => {
        const id = `raw-${++number}`;
        waiting.set(id, resolve);
        const { method, params } = request;
        transport.send({ jsonrpc: '2.0', id, method, params }).catch(reject);
    });
}

async function tasks(mode) {
    const { createTaskSessionFromClient, resultFromTaskOutcome, toolDeclarationFromMcpTool } = await import('@modelcontextprotocol/ext-tasks/client');
    const capabilities = { elicitation: {} };
    const { client, transport } = await client2(mode, mode === 'legacy' ? {} : capabilities);
    const tools = (await client.listTools()).tools.map(toolDeclarationFromMcpTool);
    const asked = [];
    const onInputRequest = async (request, context) => {
        asked.push(context.delivery);
        return answer(request);
    };
    const modern = { rawDispatch: rawDispatch(transport),
                     v2RequestFraming: { protocolVersion: '2026-07-28', clientInfo: INFO, clientCapabilities: capabilities } };
    const session = createTaskSessionFromClient(client, { endpointId: 'test', onInputRequest,
                                                          tools: { currentTool: name => tools.find(tool => tool.name === name) },
                                                          ...(mode === 'modern' ? modern : {}) });
    const cases = [['slow_compute', { seconds: 2, label: 'x' }, /x/]];
    if (mode === 'modern') {
        cases.push(['confirm_delete', { filename: 'f' }, /f/], ['test_tool_with_task', {}, /ada|yes/]);
    }
    for (const [name, args, wanted] of cases) {
        const execution = await session.callTool(name, args, { task: { preference: 'prefer' } });
        const seen = [];
        const { outcome } = await execution.settle({ onEvent: event => void seen.push(event.task?.status ?? event.outcome.status) });
        assert.match(JSON.stringify(resultFromTaskOutcome(outcome)), wanted);
        assert.equal(execution.kind, 'task');
        did(`task ${name}: ${[...new Set(seen)].join(', ')}`);
    }
    const execution = await session.callTool('slow_compute', { seconds: 600, label: 'long' }, { task: { preference: 'prefer' } });
    await execution.cancel();
    const { outcome } = await execution.settle();
    assert.equal(outcome.status, 'cancelled');
    did(`a task was cancelled; questions came by ${[...new Set(asked)].join(', ') || 'none'}`);
    await session.close();
    await client.close();
}

async function basics(client) {
    await list(client);
    await call(client);
    await progress(client);
    await elicitation(client);
    await resources(client);
}

const clients = {
    'sdk1': sdk1,
    'client2': () => basicsOfClient2('modern'),
    'client2-legacy': () => basicsOfClient2('legacy'),
    'tasks-v1': () => tasks('legacy'),
    'tasks-v2': () => tasks('modern'),
};
await clients[which]();
process.exit(0);
