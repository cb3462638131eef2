// zip.mjs - a ZIP archive of named texts, stored, to make office documents in tests
const table = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

const crc32 = (bytes) => ~bytes.reduce((crc, byte) => table[(crc ^ byte) & 0xff] ^ (crc >>> 8), ~0) >>> 0;

function header(signature, size, fields) {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32LE(signature, 0);
  for (const [offset, length, value] of fields) bytes.writeUIntLE(value, offset, length);
  return bytes;
}

/** parts: { 'word/document.xml': '<w:document .../>' } */
export function zip(parts) {
  const files = [], directory = [];
  let offset = 0;
  for (const [name, text] of Object.entries(parts)) {
    const label = Buffer.from(name), data = Buffer.from(text), crc = crc32(data);
    const local = header(0x04034b50, 30, [[4, 2, 20], [14, 4, crc], [18, 4, data.length], [22, 4, data.length], [26, 2, label.length]]);
    directory.push(header(0x02014b50, 46, [[4, 2, 20], [6, 2, 20], [16, 4, crc], [20, 4, data.length], [24, 4, data.length],
      [28, 2, label.length], [42, 4, offset]]), label);
    files.push(local, label, data);
    offset += local.length + label.length + data.length;
  }
  const central = Buffer.concat(directory), count = Object.keys(parts).length;
  const end = header(0x06054b50, 22, [[8, 2, count], [10, 2, count], [12, 4, central.length], [16, 4, offset]]);
  return Buffer.concat([...files, central, end]);
}
