// The double is held to what the official client understands: the npm package `openai`.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import OpenAI from 'openai';

import { createDouble } from './server.js';

const ask = { model: 'gpt-5.4-mini', messages: [{ role: 'user', content: 'Good morning' }] };

describe('double of chat completions, asked by the npm package openai', () => {
  const double = createDouble();
  let base, client;

  const script = (...steps) => double.state.script.push(...steps);
  before(async () => {
    base = `http://127.0.0.1:${await double.listen()}`;
    client = new OpenAI({ apiKey: 'sk-test', baseURL: `${base}/v1`, maxRetries: 0 });
  });
  after(() => double.close());
  beforeEach(() => fetch(`${base}/control`, { method: 'DELETE' }));

  const collect = async (stream) => {
    const got = { text: '', chunks: 0, finish: null, usage: null };
    for await (const chunk of stream) {
      got.chunks++;
      got.text += chunk.choices[0]?.delta?.content ?? '';
      got.finish = chunk.choices[0]?.finish_reason ?? got.finish;
      got.usage = chunk.usage ?? got.usage;
    }
    return got;
  };

  it('answers at once, with usage', async () => {
    const answer = await client.chat.completions.create(ask);
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.choices[0].message.content, 'You said: Good morning');
    assert.equal(answer.choices[0].finish_reason, 'stop');
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.match(answer._request_id, /^req_/);
  });

  it('streams, with a usage chunk when asked', async () => {
    const got = await collect(await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }));
    assert.equal(got.text, 'You said: Good morning');
    assert.equal(got.finish, 'stop');
    assert.ok(got.usage.completion_tokens > 0);
    const without = await collect(await client.chat.completions.create({ ...ask, stream: true }));
    assert.equal(without.usage, null);
  });

  it('streams through CR LF, comments, split bytes and an empty first chunk', async () => {
    script({ text: 'Grüße, 世界 🎉', line_end: '\r\n', comment: 'OPENROUTER PROCESSING', split_bytes: 3, first_empty_chunk: true });
    const got = await collect(await client.chat.completions.create({ ...ask, stream: true }));
    assert.equal(got.text, 'Grüße, 世界 🎉');
  });

  it('cuts at the token limit', async () => {
    script({ text: 'a long answer that does not fit' });
    const answer = await client.chat.completions.create({ ...ask, max_completion_tokens: 2 });
    assert.equal(answer.choices[0].finish_reason, 'length');
    assert.equal(answer.choices[0].message.content, 'a long a');
  });

  it('refuses a wrong key, an unknown model, bad messages', async () => {
    const stranger = new OpenAI({ apiKey: 'sk-other', baseURL: `${base}/v1`, maxRetries: 0 });
    await assert.rejects(stranger.chat.completions.create(ask), (e) => e instanceof OpenAI.AuthenticationError && e.code === 'invalid_api_key');
    await assert.rejects(client.chat.completions.create({ ...ask, model: 'no-such' }), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
    await assert.rejects(client.chat.completions.create({ ...ask, messages: [] }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'messages');
  });

  it('rejects a parameter until it is left out', async () => {
    script({ reject: ['temperature'], text: 'fine' });
    await assert.rejects(client.chat.completions.create({ ...ask, temperature: 0.2 }), (e) => e.status === 400 && e.code === 'unsupported_parameter' && e.param === 'temperature');
    assert.equal((await client.chat.completions.create(ask)).choices[0].message.content, 'fine');
  });

  it('limits the rate with headers that the client obeys', async () => {
    const patient = new OpenAI({ apiKey: 'sk-test', baseURL: `${base}/v1`, maxRetries: 1 });
    script({ status: 429, headers: { 'retry-after-ms': '5', 'x-ratelimit-remaining-requests': '0' }, error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' } }, { text: 'after the wait' });
    const answer = await patient.chat.completions.create(ask);
    assert.equal(answer.choices[0].message.content, 'after the wait');
    assert.equal(double.state.requests.length, 2);
  });

  it('tells of used-up quota', async () => {
    script({ status: 429, headers: { 'x-should-retry': 'false' }, error: { message: 'You exceeded your current quota', type: 'insufficient_quota', param: null, code: 'insufficient_quota' } });
    await assert.rejects(client.chat.completions.create(ask), (e) => e instanceof OpenAI.RateLimitError && e.code === 'insufficient_quota');
  });

  it('fails in the middle of a stream: error event, cut, stall', async () => {
    script({ error_after: 1 });
    await assert.rejects(async () => collect(await client.chat.completions.create({ ...ask, stream: true })), /server had an error/);
    script({ cut_after: 1 });
    await assert.rejects(async () => collect(await client.chat.completions.create({ ...ask, stream: true })));
    script({ stall_after: 1 });
    const controller = new AbortController();
    const stream = await client.chat.completions.create({ ...ask, stream: true }, { signal: controller.signal });
    let chunks = 0;
    for await (const chunk of stream) {
      chunks += chunk.choices.length;
      if (chunks === 2) controller.abort(); // role and one word came; nothing else would
    }
    assert.equal(chunks, 2);
  });

  it('keeps reasoning and refusals apart from the content', async () => {
    script({ reasoning: 'Let me think.', text: 'Yes.' });
    const answer = await client.chat.completions.create(ask);
    assert.equal(answer.choices[0].message.content, 'Yes.');
    assert.equal(answer.choices[0].message.reasoning_content, 'Let me think.');
    script({ refusal: 'I cannot help with that.', content_null: true });
    const refused = await client.chat.completions.create(ask);
    assert.equal(refused.choices[0].message.content, null);
    assert.equal(refused.choices[0].message.refusal, 'I cannot help with that.');
  });

  it('lists models', async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.deepEqual(ids, ['gpt-5.4-mini', 'gpt-5.4']);
  });

  it('shows what was asked, never the key', async () => {
    await client.chat.completions.create(ask);
    const seen = await (await fetch(`${base}/control/requests`)).json();
    assert.equal(seen.requests.length, 1);
    assert.deepEqual(seen.requests[0].body.messages, ask.messages);
    assert.equal(JSON.stringify(seen).includes('sk-test'), false);
  });
});
