// cli.mjs - the double of Qdrant as a program, for unit tests: node cli.mjs [VERSION [API_KEY]]
//
// Prints its address on a line of its own, and ends with its standard input. POST /test/fail
// {"path", "times", "status", "body", "headers", "hang", "accepted"} says what the next requests whose path
// ends so get instead of an answer; GET /test/points gives every point's payload; POST /test/forget removes
// all collections.
import { QdrantDouble } from './qdrant-double.mjs';

class Driven extends QdrantDouble {
  handle(request) {
    if (request.path === '/test/fail') {
      const { path, ...fault } = JSON.parse(request.body.toString('utf8'));
      this.fail({ ...fault, match: (one) => one.path.endsWith(path) });
      return { status: 200 };
    }
    if (request.path === '/test/points') return { status: 200, body: JSON.stringify(this.points().map(({ payload }) => payload)) };
    if (request.path === '/test/forget') {
      this.collections.clear();
      return { status: 200 };
    }
    return super.handle(request);
  }
}

const [version, apiKey] = process.argv.slice(2);
const double = new Driven({ version, apiKey });
process.stdout.write(`${await double.start()}\n`);
process.stdin.on('end', () => { void double.stop(); });
process.stdin.resume();
