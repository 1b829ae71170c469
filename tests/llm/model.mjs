// model.mjs MODEL.gguf - a real, if tiny, model as a server of the wire openai-chat, on loopback.
//
//     POST /ID/v1/chat/completions      messages, max_tokens, tools, tool_choice, response_format (json_schema), stream, stream_options
//     GET  /seen/ID                     {count: requests, ended: answers that were made to their end, canceled: asked for, and not waited for,
//                                        tokens: that were made, bodies: [text ...]}
//
// Tokens are streamed as they come from the model; what it calls and what must fit a schema are held to a grammar, which is why even this
// model calls tools well. It writes children's stories: whether to call a tool at all is said by the request (tool_turns: as long as
// the conversation has fewer messages of tools), not by the model. temperature is 0: the same request has the same answer.
// Prints "PORT 0" (as server.py does), then serves until its standard input ends. NPM_MODULES names the folder of node-llama-cpp.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { getLlama, LlamaCompletion, TokenBias } = await import(pathToFileURL(process.env.NPM_MODULES + "/node-llama-cpp/dist/index.js"));
const CONTEXT_TOKENS = 512, PROMPT_CHARS = 300, SEQUENCES = 4;
const llama = await getLlama({ gpu: false, build: "never", progressLogs: false, maxThreads: 1 });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({ contextSize: CONTEXT_TOKENS, sequences: SEQUENCES, threads: 1 });
const endless = new TokenBias(model.tokenizer).set(model.tokens.eos, "never");
const seen = new Map();
const idle = Array.from({ length: SEQUENCES }, () => new LlamaCompletion({ contextSequence: context.getSequence() }));
const waiting = [];

const take = () => (idle.length > 0 ? Promise.resolve(idle.pop()) : new Promise((resolve) => waiting.push(resolve)));
const give = (one) => (waiting.length > 0 ? waiting.shift()(one) : idle.push(one));

// ---- what is asked

const textOf = (content) => (Array.isArray(content) ? content.map((p) => p.text ?? "").join(" ") : content ?? "");

// The end of the conversation: what the model can hold.
function promptOf(body) {
    const said = body.messages.map((m) => textOf(m.content)).filter((t) => t !== "").join("\n");
    return (said.slice(-PROMPT_CHARS) || "Once upon a time") + "\n";
}

function toolOf(body) {
    const choice = body.tool_choice ?? "auto";
    const told = body.messages.filter((m) => m.role === "tool").length;
    const turns = Number(/^tools-(\d+)$/.exec(body.user)?.[1] ?? 1); // a field that every gateway hands on
    if (!body.tools?.length || choice === "none" || (choice === "auto" && told >= turns)) {
        return undefined;
    }
    const wanted = choice.function?.name ?? body.tools[told % body.tools.length].function.name;
    return body.tools.find((t) => t.function.name === wanted)?.function;
}

async function generate(body, schema, signal, onText) {
    const one = await take();
    try {
        signal.throwIfAborted();
        const grammar = schema && (await llama.createGrammarForJsonSchema(schema));
        const made = { tokens: 0, prompt: model.tokenize(promptOf(body)) };
        const done = await one.generateCompletionWithMeta(made.prompt, {
            maxTokens: body.max_tokens ?? body.max_completion_tokens ?? 64, temperature: 0, grammar, signal, onTextChunk: onText,
            tokenBias: body.ignore_eos ? endless : undefined,
            onToken: (tokens) => { made.tokens += tokens.length; },
        });
        return { text: done.response, tokens: made.tokens, asked: made.prompt.length, whole: done.metadata.stopReason !== "maxTokens" };
    } finally {
        give(one);
    }
}

// ---- what is answered

const usageOf = (made) => ({ prompt_tokens: made.asked, completion_tokens: made.tokens, total_tokens: made.asked + made.tokens });

const callOf = (body, tool, text) => ({
    index: 0, id: `call_${body.messages.length}`, type: "function", function: { name: tool.name, arguments: text },
});

async function answer(body, signal, response) {
    const tool = toolOf(body);
    const schema = tool ? tool.parameters : body.response_format?.json_schema?.schema;
    const frame = (object, rest) => ({ id: "chatcmpl-real", object, created: 1, model: body.model, ...rest });
    const chunk = (delta, reason = null) =>
        response.write(`data: ${JSON.stringify(frame("chat.completion.chunk", { choices: [{ index: 0, delta, finish_reason: reason }] }))}\n\n`);
    if (body.stream) {
        response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-real" });
        chunk({ role: "assistant", ...(tool ? { tool_calls: [callOf(body, tool, "")] } : { content: "" }) });
    }
    const onText = (text) =>
        body.stream && chunk(tool ? { tool_calls: [{ index: 0, function: { arguments: text } }] } : { content: text });
    const made = await generate(body, schema, signal, onText);
    const reason = made.whole || tool ? (tool ? "tool_calls" : "stop") : "length";
    if (body.stream) {
        chunk({}, reason);
        if (body.stream_options?.include_usage) {
            response.write(`data: ${JSON.stringify(frame("chat.completion.chunk", { choices: [], usage: usageOf(made) }))}\n\n`);
        }
        response.end("data: [DONE]\n\n");
    } else {
        const message = tool ? { role: "assistant", content: null, tool_calls: [callOf(body, tool, made.text)] } : { role: "assistant", content: made.text };
        response.writeHead(200, { "content-type": "application/json", "x-request-id": "req-real" });
        response.end(JSON.stringify(frame("chat.completion", { choices: [{ index: 0, message, finish_reason: reason }], usage: usageOf(made) })));
    }
    return made;
}

// ---- the server

async function complete(request, response, of) {
    const chunks = [];
    for await (const c of request) {
        chunks.push(c);
    }
    const text = Buffer.concat(chunks).toString();
    const gone = new AbortController();
    of.count += 1;
    of.bodies.push(text);
    response.on("close", () => response.writableEnded || gone.abort());
    try {
        const made = await answer(JSON.parse(text), gone.signal, response);
        of.ended += 1;
        of.tokens += made.tokens;
    } catch (error) {
        if (gone.signal.aborted) {
            of.canceled += 1;
        } else if (response.headersSent) {
            response.destroy();
        } else {
            response.writeHead(400, { "content-type": "application/json" });
            response.end(JSON.stringify({ error: { message: String(error), type: "invalid_request_error" } }));
        }
    }
}

const server = createServer(async (request, response) => {
    const [, first, second] = request.url.split("/");
    const id = first === "seen" ? second : first;
    const of = seen.get(id) ?? { count: 0, ended: 0, canceled: 0, tokens: 0, bodies: [] };
    seen.set(id, of);
    if (first === "seen") {
        response.writeHead(200, { "content-type": "application/json" });
        response.end(JSON.stringify(of));
    } else {
        await complete(request, response, of);
    }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port, 0));
process.stdin.on("end", () => process.exit(0)).resume();
