// instagram-double.test.mjs - the double itself: what Meta refuses is refused, what is sent is echoed
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { InstagramDouble } from './instagram-double.mjs';

const ACCOUNT = '17841400000000001';
const TOKEN = 'IGAAtest0123456789abcdef';
const PERSON = '900100200300';

describe('the Instagram double', () => {
  let double;

  before(async () => {
    double = new InstagramDouble();
    await double.start();
    double.addAccount({ id: ACCOUNT, token: TOKEN });
  });
  after(() => double.stop());

  const send = async (body, token = TOKEN) => {
    const response = await fetch(`${double.url}/v25.0/${ACCOUNT}/messages`, {
      method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const message = (content, id = PERSON) => send({ recipient: { id }, message: content });

  it('refuses what Meta refuses', async () => {
    const code = async (content) => (await message(content)).body.error?.code;
    assert.equal((await message({ text: 'x' })).body.error.error_subcode, 2018001, 'nobody has written yet');
    double.says(PERSON, 'hello');
    assert.equal(await code({ text: 'x'.repeat(1000) }), undefined);
    assert.equal(await code({ text: 'x'.repeat(1001) }), 100);
    assert.equal(await code({ text: 'ä'.repeat(501) }), 100);
    assert.equal(await code({ text: '' }), 100);
    assert.equal(await code({ text: 'x', surplus: 1 }), 100);
    assert.equal(await code({ attachment: { type: 'image', payload: {} } }), 100);
    assert.equal(await code({ attachment: { type: 'image', payload: { url: 'https://e.com' } } }), undefined);
    const reply = (title) => ({ content_type: 'text', title, payload: 'p' });
    assert.equal(await code({ text: 'x', quick_replies: [reply('x'.repeat(21))] }), 100);
    assert.equal(await code({ text: 'x', quick_replies: Array(14).fill(reply('A')) }), 100);
    assert.equal(await code({ text: 'x', quick_replies: Array(13).fill(reply('A')) }), undefined);
    assert.equal((await send({}, 'another')).body.error.code, 190);
  });

  it('closes the window after 24 hours', async () => {
    double.says('77', 'long ago', { at: Date.now() - 25 * 3600_000 });
    const { status, body } = await message({ text: 'x' }, '77');
    assert.deepEqual([status, body.error.code, body.error.error_subcode], [403, 10, 2018278]);
  });

  it('takes actions and gives ids', async () => {
    assert.equal((await send({ recipient: { id: PERSON }, sender_action: 'typing_on' })).status, 200);
    assert.equal((await send({ recipient: { id: PERSON }, sender_action: 'dance' })).status, 400);
    const { body } = await message({ text: 'Hi' });
    assert.ok(body.message_id.length > 100);
    assert.equal(double.messagesTo(PERSON).at(-1).id, body.message_id);
  });
});
