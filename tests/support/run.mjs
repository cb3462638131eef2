// run.mjs - runs test files, so many side by side: run.mjs COUNT FILE...
//
// What `node --test --test-concurrency` does, which Debian's Node does not know. By itself it runs one file less than
// there are processors, though most of what our tests do is wait for servers.
import { run } from 'node:test';
import { tap } from 'node:test/reporters';

const [count, ...files] = process.argv.slice(2);
run({ files, concurrency: Number(count) })
  .on('test:fail', () => { process.exitCode = 1; })
  .compose(tap)
  .pipe(process.stdout);
