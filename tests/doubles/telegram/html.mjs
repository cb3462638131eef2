// html.mjs - text with parse_mode HTML as Telegram reads it: plain text and entities, or the refusal
//
// Offsets and lengths of entities count UTF-16 units, as JavaScript's strings do; offsets in error
// texts count bytes, as Telegram's do.

const TAGS = new Map([
  ['b', 'bold'], ['strong', 'bold'], ['i', 'italic'], ['em', 'italic'], ['u', 'underline'],
  ['ins', 'underline'], ['s', 'strikethrough'], ['strike', 'strikethrough'], ['del', 'strikethrough'],
  ['code', 'code'], ['pre', 'pre'], ['a', 'text_link'], ['blockquote', 'blockquote'],
  ['tg-spoiler', 'spoiler'], ['span', 'spoiler'], ['tg-emoji', 'custom_emoji'],
]);
const NAMED = { lt: '<', gt: '>', amp: '&', quot: '"' };

export class ParseError extends Error {}

const byteOffset = (text, index) => Buffer.byteLength(text.slice(0, index));

function readEntity(text, at) {
  const match = /^&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-zA-Z]+));?/.exec(text.slice(at, at + 16));
  if (!match) return null;
  if (match[3] !== undefined) {
    const named = NAMED[match[3]];
    return named === undefined ? null : { text: named, length: match[0].length };
  }
  const code = match[1] !== undefined ? parseInt(match[1], 16) : parseInt(match[2], 10);
  if (code === 0 || code > 0x10ffff) return null;
  return { text: String.fromCodePoint(code), length: match[0].length };
}

function readTag(text, at) {
  const end = text.indexOf('>', at);
  if (end < 0) throw new ParseError(`Unclosed start tag at byte offset ${byteOffset(text, at)}`);
  const inside = text.slice(at + 1, end);
  const closing = inside.startsWith('/');
  const name = (closing ? inside.slice(1) : inside).trim().split(/[\s]/)[0].toLowerCase();
  return { closing, name, attributes: inside, end: end + 1 };
}

function attribute(attributes, name) {
  const match = new RegExp(`${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`).exec(attributes);
  return match ? (match[1] ?? match[2] ?? match[3]) : undefined;
}

// The text without tags, its entities; throws ParseError with the words that Telegram uses.
export function parseHtml(source) {
  const open = [];
  const entities = [];
  let text = '';

  for (let at = 0; at < source.length;) {
    const c = source[at];
    if (c === '&') {
      const entity = readEntity(source, at);
      text += entity ? entity.text : '&';
      at += entity ? entity.length : 1;
    } else if (c === '<') {
      const tag = readTag(source, at);
      if (tag.closing) {
        const last = open.pop();
        if (!last) throw new ParseError(`Unexpected end tag at byte offset ${byteOffset(source, at)}`);
        if (tag.name !== '' && tag.name !== last.name) {
          throw new ParseError(`Unmatched end tag at byte offset ${byteOffset(source, at)}, ` +
            `expected "</${last.name}>", found "</${tag.name}>"`);
        }
        if (text.length > last.offset) {
          const entity = { type: TAGS.get(last.name), offset: last.offset, length: text.length - last.offset };
          const href = last.name === 'a' ? attribute(last.attributes, 'href') : undefined;
          if (entity.type !== 'text_link' || href !== undefined) {
            entities.push(href === undefined ? entity : { ...entity, url: href });
          }
        }
      } else {
        if (!TAGS.has(tag.name)) {
          throw new ParseError(`Unsupported start tag "${tag.name}" at byte offset ${byteOffset(source, at)}`);
        }
        open.push({ name: tag.name, offset: text.length, attributes: tag.attributes });
      }
      at = tag.end;
    } else {
      text += c;
      at += 1;
    }
  }
  if (open.length > 0) {
    throw new ParseError(`Can't find end tag corresponding to start tag "${open.at(-1).name}"`);
  }
  entities.sort((a, b) => a.offset - b.offset || b.length - a.length);
  return { text, entities };
}

// Telegram takes white space off both ends; entities move with the text and shrink with it.
export function trimmed({ text, entities }) {
  const lead = text.length - text.trimStart().length;
  const kept = text.trim();
  const moved = entities
    .map((e) => {
      const start = Math.max(e.offset - lead, 0);
      const end = Math.min(e.offset + e.length - lead, kept.length);
      return { ...e, offset: start, length: end - start };
    })
    .filter((e) => e.length > 0);
  return { text: kept, entities: moved };
}
