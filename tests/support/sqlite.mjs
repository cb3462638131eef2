// sqlite.mjs - statements on SQLite files, through one sqlite.py a process: to start a program for each would cost
// more than most of what tests do
//
//   const rows = await sqlite(file, 'SELECT ...');          // of a file that a server may be writing to
//   await sqlite(file, 'UPDATE ...', { changes: true });
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

let child;
const waiting = []; // who waits for an answer, in order

// A test file ends when its tests have: this must not keep it alive. The program ends with us.
function letGo() {
  child.unref();
  child.stdin.unref?.();
  if (waiting.length === 0) child.stdout.unref?.();
}

function start() {
  child = spawn('python3', [fileURLToPath(new URL('sqlite.py', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift().resolve(JSON.parse(line)));
  child.once('exit', (code) => {
    child = undefined; // the next question starts another
    for (const one of waiting.splice(0)) one.reject(new Error(`sqlite.py ended with ${code}`));
  });
}

export async function sqlite(file, query, { changes = false } = {}) {
  if (!child) start();
  child.stdout.ref?.();
  const answer = await new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    child.stdin.write(`${JSON.stringify({ file, query, changes })}\n`);
  });
  letGo();
  if (answer.error) throw new Error(`${file}: ${answer.error}`);
  return answer.rows;
}
