// A double of the OpenAI chat completions endpoint, for tests: exact enough that the npm package
// `openai` works against it, and scriptable, so that every failure a provider can show happens on
// command. No dependencies. Loopback only.
//
//   node server.js [--port 0] [--key sk-test]      prints {"port": 12345} when it listens
//
// POST /v1/chat/completions   as OpenAI: streamed or not, usage, errors, rate headers, x-request-id
// GET  /v1/models[/{id}]
//
// Control, on the same port, never part of the real API:
// POST   /control/script   {"steps": [step, ...]}: the next requests take one step each
// POST   /control/default  step: what requests take when the script is used up
// GET    /control/requests what was asked: method, url, headers (authorization as a flag), body
// DELETE /control          back to the beginning
//
// A step: {text, chunks, reasoning, finish_reason, refusal, usage: "final"|"always"|"never",
//   delay_ms, chunk_delay_ms, comment (a keep-alive line), first_empty_chunk, no_done, no_finish,
//   cut_after (chunks, then the socket is destroyed), stall_after (chunks, then silence),
//   error_after (chunks, then data: {"error": ...}), error, status, headers, raw (body as it is),
//   reject (["temperature", ...]: 400 unsupported_parameter while the request has it),
//   line_end ("\n", "\r\n"), split_bytes (writes of so many bytes), content_null, body_200 (object)}
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const MAX_BODY = 8 * 1024 * 1024;

const errorBody = (message, type, param = null, code = null) => ({
  error: { message, type, param, code },
});

// About what a tokenizer would count; only that it is stable matters here.
export const countTokens = (text) => Math.max(1, Math.ceil([...text].length / 4));

const messageText = (content) =>
  typeof content === 'string'
    ? content
    : Array.isArray(content)
      ? content.map((part) => part.text ?? '').join('')
      : '';

export function createDouble({ key = 'sk-test', models = ['gpt-5.4-mini', 'gpt-5.4'] } = {}) {
  const state = { script: [], fallback: {}, requests: [], sockets: new Set(), key, models };
  const server = http.createServer((req, res) => {
    handle(state, req, res).catch((error) => {
      if (!res.headersSent) sendJson(res, 500, errorBody(String(error), 'server_error'));
      else res.destroy();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    state.sockets.add(socket);
    socket.on('close', () => state.sockets.delete(socket));
  });
  return {
    state,
    listen: (port = 0) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => resolve(server.address().port));
      }),
    close: () =>
      new Promise((resolve) => {
        for (const socket of state.sockets) socket.destroy();
        server.close(resolve);
      }),
  };
}

async function handle(state, req, res) {
  const url = new URL(req.url, 'http://127.0.0.1');
  const body = await readBody(req);

  if (body === null) return sendJson(res, 413, errorBody('Request too large', 'invalid_request_error'));
  if (url.pathname.startsWith('/control')) return control(state, req, res, url.pathname, body);

  state.requests.push({
    method: req.method,
    url: req.url,
    headers: { ...req.headers, authorization: req.headers.authorization ? '(given)' : undefined },
    key_ok: req.headers.authorization === `Bearer ${state.key}`,
    body: parseJson(body),
  });
  res.setHeader('x-request-id', `req_${randomUUID().replaceAll('-', '')}`);
  res.setHeader('openai-processing-ms', '1');
  res.setHeader('openai-version', '2020-10-01');
  if (req.headers.authorization !== `Bearer ${state.key}`) {
    const given = (req.headers.authorization ?? '').replace(/^Bearer /, '');
    return given === ''
      ? sendJson(res, 401, errorBody("You didn't provide an API key.", 'invalid_request_error'))
      : sendJson(res, 401, errorBody(
          `Incorrect API key provided: ${given.slice(0, 8)}***. You can find your API key at https://platform.openai.com/account/api-keys.`,
          'invalid_request_error', null, 'invalid_api_key'));
  }
  if (url.pathname === '/v1/models' && req.method === 'GET')
    return sendJson(res, 200, { object: 'list', data: state.models.map(modelObject) });
  if (url.pathname.startsWith('/v1/models/') && req.method === 'GET') {
    const id = decodeURIComponent(url.pathname.slice('/v1/models/'.length));
    return state.models.includes(id)
      ? sendJson(res, 200, modelObject(id))
      : sendJson(res, 404, unknownModel(id));
  }
  if (url.pathname !== '/v1/chat/completions')
    return sendJson(res, 404, errorBody(`Invalid URL (${req.method} ${url.pathname})`, 'invalid_request_error'));
  if (req.method !== 'POST')
    return sendJson(res, 405, errorBody(`Not allowed to ${req.method} on ${url.pathname} (HINT: Perhaps you meant to use a different HTTP method?)`, 'invalid_request_error', null, 'method_not_supported'));
  return complete(state, req, res, body);
}

const modelObject = (id) => ({ id, object: 'model', created: 1780000000, owned_by: 'system', shutdown_date: null });
const unknownModel = (id) =>
  errorBody(`The model \`${id}\` does not exist or you do not have access to it.`, 'invalid_request_error', null, 'model_not_found');

// What OpenAI refuses before it generates, or null.
function refusalOf(state, body) {
  if (body === undefined)
    return [400, errorBody("We could not parse the JSON body of your request.", 'invalid_request_error')];
  if (typeof body.model !== 'string')
    return [400, errorBody('you must provide a model parameter', 'invalid_request_error')];
  if (!state.models.includes(body.model)) return [404, unknownModel(body.model)];
  if (!Array.isArray(body.messages))
    return [400, errorBody("Missing required parameter: 'messages'.", 'invalid_request_error', 'messages', 'missing_required_parameter')];
  if (body.messages.length === 0)
    return [400, errorBody("Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.", 'invalid_request_error', 'messages', 'empty_array')];
  for (const [i, message] of body.messages.entries()) {
    if (!['developer', 'system', 'user', 'assistant', 'tool', 'function'].includes(message?.role))
      return [400, errorBody(`Invalid value: '${message?.role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.`, 'invalid_request_error', `messages[${i}].role`, 'invalid_value')];
  }
  if (body.max_tokens !== undefined && body.max_completion_tokens !== undefined)
    return [400, errorBody("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", 'invalid_request_error', 'max_tokens', 'invalid_parameter_combination')];
  if (body.stream_options !== undefined && body.stream !== true)
    return [400, errorBody("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'invalid_request_error', 'stream_options')];
  return null;
}

async function complete(state, req, res, bodyText) {
  const body = parseJson(bodyText);
  const refusal = refusalOf(state, body);
  if (refusal) return sendJson(res, ...refusal);

  const step = state.script.length > 0 ? state.script.shift() : state.fallback;
  if (step.delay_ms) await sleep(res, step.delay_ms);
  for (const name of step.reject ?? []) {
    if (body[name] === undefined) continue;
    state.script.unshift(step); // the retry meets the same refusal if it still has the parameter
    return sendJson(res, 400, errorBody(`Unsupported parameter: '${name}' is not supported with this model.`, 'invalid_request_error', name, 'unsupported_parameter'));
  }
  for (const [name, value] of Object.entries(step.headers ?? {})) res.setHeader(name, value);
  if (step.raw !== undefined) {
    res.writeHead(step.status ?? 200, { 'content-type': step.headers?.['content-type'] ?? 'text/plain' });
    return res.end(step.raw);
  }
  if (step.status && step.status >= 300)
    return sendJson(res, step.status, wrapError(step.error ?? 'The server had an error', step.status));
  if (step.body_200) return sendJson(res, 200, step.body_200);
  return body.stream ? streamAnswer(state, res, body, step) : sendAnswer(res, body, step);
}

// error may be the whole body, an object for "error", or a string.
function wrapError(error, status) {
  if (typeof error === 'string') return errorBody(error, status >= 500 ? 'server_error' : 'invalid_request_error');
  return error.error !== undefined || error.detail !== undefined || error.object !== undefined ? error : { error };
}

function answerOf(body, step) {
  const last = messageText(body.messages.at(-1)?.content);
  const limit = body.max_completion_tokens ?? body.max_tokens;
  let text = step.chunks ? step.chunks.join('') : (step.text ?? `You said: ${last}`);
  let finish = step.finish_reason ?? 'stop';
  if (limit && countTokens(text) > limit) {
    text = [...text].slice(0, limit * 4).join('');
    finish = 'length';
  }
  const prompt = body.messages.map((message) => messageText(message.content)).join('\n');
  const usage = {
    prompt_tokens: countTokens(prompt),
    completion_tokens: countTokens(text),
    total_tokens: countTokens(prompt) + countTokens(text),
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: step.reasoning ? countTokens(step.reasoning) : 0, audio_tokens: 0,
      accepted_prediction_tokens: 0, rejected_prediction_tokens: 0,
    },
  };
  return { text, finish, usage, id: `chatcmpl-${randomUUID().replaceAll('-', '').slice(0, 29)}` };
}

function sendAnswer(res, body, step) {
  const { text, finish, usage, id } = answerOf(body, step);
  const message = { role: 'assistant', content: step.content_null ? null : text, refusal: step.refusal ?? null, annotations: [] };
  if (step.reasoning) message.reasoning_content = step.reasoning;
  sendJson(res, 200, {
    id, object: 'chat.completion', created: now(), model: body.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    ...(step.usage === 'never' ? {} : { usage }),
    service_tier: 'default', system_fingerprint: null,
  });
}

async function streamAnswer(state, res, body, step) {
  const { text, finish, usage, id } = answerOf(body, step);
  const pieces = step.chunks ?? text.match(/\s*\S+\s*$|\s*\S+/gu) ?? [];
  const end = step.line_end ?? '\n';
  const wantsUsage = step.usage !== 'never' && (step.usage === 'always' || body.stream_options?.include_usage);
  const chunk = (fields) => ({
    id, object: 'chat.completion.chunk', created: now(), model: body.model,
    service_tier: 'default', system_fingerprint: null, ...fields,
    ...(wantsUsage && fields.usage === undefined ? { usage: null } : {}), obfuscation: 'x'.repeat(3),
  });
  const choice = (delta, finish_reason = null) =>
    chunk({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
  const put = (data) => write(res, `data: ${typeof data === 'string' ? data : JSON.stringify(data)}${end}${end}`, step.split_bytes);
  let sent = 0;

  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  res.flushHeaders();
  if (step.comment) await write(res, `: ${step.comment}${end}${end}`, step.split_bytes);
  if (step.first_empty_chunk) await put(chunk({ choices: [], prompt_filter_results: [] }));
  await put(choice({ role: 'assistant', content: step.content_null ? null : '', refusal: null }));
  if (step.reasoning) await put(choice({ reasoning_content: step.reasoning }));
  if (step.refusal) await put(choice({ refusal: step.refusal }));
  for (const piece of pieces) {
    if (res.destroyed) return;
    if (await endsEarly(res, step, sent, put)) return;
    if (step.chunk_delay_ms) await sleep(res, step.chunk_delay_ms);
    if (!step.refusal) await put(choice({ content: piece }));
    sent++;
  }
  if (await endsEarly(res, step, sent, put)) return;
  if (!step.no_finish) await put(choice({}, finish));
  if (wantsUsage) await put(chunk({ choices: [], usage }));
  if (!step.no_done) await put('[DONE]');
  res.end();
}

async function endsEarly(res, step, sent, put) {
  if (step.cut_after === sent) {
    res.destroy();
    return true;
  }
  if (step.stall_after === sent) {
    await new Promise((resolve) => res.on('close', resolve)); // silence until the client gives up
    return true;
  }
  if (step.error_after === sent) {
    await put(wrapError(step.error ?? { message: 'The server had an error while processing your request. Sorry about that!', type: 'server_error', param: null, code: null }, 500));
    res.end();
    return true;
  }
  return false;
}

async function write(res, text, splitBytes) {
  const bytes = Buffer.from(text);
  const size = splitBytes || bytes.length;
  for (let at = 0; at < bytes.length; at += size) {
    if (res.destroyed) return;
    // Waits until the bytes have left, so that a cut comes after what was sent, not instead of it.
    await untilClosedOr(res, (done) => res.write(bytes.subarray(at, at + size), done));
    if (splitBytes) await new Promise(setImmediate);
  }
}

// What start promises to call back, or the end of the connection, whichever comes first.
const untilClosedOr = (res, start) =>
  new Promise((resolve) => {
    const done = () => {
      res.off('close', done);
      resolve();
    };
    res.once('close', done);
    start(done);
  });

async function sleep(res, ms) {
  let timer;
  await untilClosedOr(res, (done) => { timer = setTimeout(done, ms); });
  clearTimeout(timer);
}

const now = () => Math.floor(Date.now() / 1000);

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readBody(req) {
  const pieces = [];
  let size = 0;
  for await (const piece of req) {
    size += piece.length;
    if (size > MAX_BODY) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function sendJson(res, status, value) {
  const text = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

function control(state, req, res, path, text) {
  const value = text === '' ? undefined : parseJson(text);
  if (req.method === 'POST' && path === '/control/script' && Array.isArray(value?.steps)) {
    state.script.push(...value.steps);
    return sendJson(res, 200, { waiting: state.script.length });
  }
  if (req.method === 'POST' && path === '/control/default' && value && typeof value === 'object') {
    state.fallback = value;
    return sendJson(res, 200, {});
  }
  if (req.method === 'GET' && path === '/control/requests')
    return sendJson(res, 200, { requests: state.requests, waiting: state.script.length });
  if (req.method === 'DELETE' && path === '/control') {
    state.script = [];
    state.fallback = {};
    state.requests = [];
    return sendJson(res, 200, {});
  }
  return sendJson(res, 404, errorBody('no such control', 'invalid_request_error'));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const option = (name, fallback) => {
    const at = process.argv.indexOf(name);
    return at > 0 ? process.argv[at + 1] : fallback;
  };
  const double = createDouble({ key: option('--key', 'sk-test') });
  const port = await double.listen(Number(option('--port', '0')));
  console.log(JSON.stringify({ port }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => double.close().then(() => process.exit(0)));
}
