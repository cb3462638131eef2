// statements.test.mjs - every SQL statement asked by the wrong organization, with PostgreSQL's row-level security taken away
//
// Two databases that differ in one thing: in the second, all rows of one organization are gone. Each statement of the
// source, asked by the other organization with the first one's ids, must say and do the same in both, and must leave
// the first one's rows as they are. Statements come from the headers, so that a new one cannot be forgotten.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';

import pg from 'pg';

import { Postgres } from '../support/postgres.mjs';
import { ROOT, engine } from '../support/server.mjs';
import { openTwo } from './two_organizations.mjs';

const ONLY_HERE = engine === 'pgsql' ? false : "with SQLite another organization's rows are in another file";

function readStatements() {
  const all = JSON.parse(execFileSync('python3', [path.join(ROOT, 'tests/support/statements.py')], { encoding: 'utf8', maxBuffer: 1 << 24 }));
  return all.flatMap(({ symbol, file, text, pgsql = text, pgsql_many: many }) =>
    [[symbol, pgsql], [`${symbol}, many`, many]].filter(([, sql]) => sql).map(([name, sql]) => ({ name, file, sql })));
}

// What stands at $n: the column that it is compared with, and how, or put into.
function placesOf(sql) {
  const places = {};
  const tableOf = Object.fromEntries([...sql.matchAll(/(?:FROM|JOIN|UPDATE|,)\s+(\w+)\s+(?:AS )?(\w+)/g)].map(([, table, alias]) => [alias, table]));
  for (const [, alias, column, how, number] of sql.matchAll(/(?:(\w+)\.)?(\w+)\s*(=|<>|<=|>=|<|>)\s*(?:ANY\s*\()?\$(\d+)/g)) places[number] ??= { table: tableOf[alias] ?? alias, column, how };
  for (const [, table, names, values] of sql.matchAll(/INSERT INTO (\w+)\s*\(([^)]*)\)\s*(?:VALUES\s*\(|SELECT )([^()]*)/g)) {
    const words = values.split(',').map((word) => word.trim());
    names.split(',').forEach((name, i) => { const at = /^\$(\d+)$/.exec(words[i] ?? ''); if (at) places[at[1]] ??= { table, column: name.trim(), how: '=' }; });
  }
  return places;
}

const DEFAULTS = { text: 'none', bigint: '20', integer: '20', bytea: '\\x00', jsonb: '{}', json: '{}', boolean: 'true', 'double precision': '1' };
const LOW = { text: '', bigint: '-1', integer: '-1' };
const HIGH = { text: '\uffff', bigint: '9000000000000000', integer: '2000000000' };

class World {
  constructor(client) { this.client = client; }

  static async open(database) {
    const client = new pg.Client({ connectionString: database.superuserUrl, statement_timeout: 20_000 });
    await client.connect();
    return new World(client);
  }

  // What it says, how many rows it touched, and what it left of an organization's rows in the tables that it names.
  async ask(sql, values, touched, organizationId) {
    await this.client.query('BEGIN');
    try {
      let said;
      try {
        const { rows, rowCount } = await this.client.query({ text: sql, values, rowMode: 'array' });
        said = { rows, rowCount };
      } catch (error) {
        return { said: { error: error.code }, left: null };
      }
      return { said, left: await this.rowsOf(touched, organizationId) };
    } finally {
      await this.client.query('ROLLBACK');
    }
  }

  async rowsOf(tables, organizationId) {
    const rows = {};
    for (const table of tables) {
      const { rows: [[sum]] } = await this.client.query({ text: `SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM ${table} r WHERE organization_id = '${organizationId}'`, rowMode: 'array' });
      rows[table] = sum;
    }
    return rows;
  }
}

const mentions = (sql, tables) => tables.filter((table) => new RegExp(`\\b${table}\\b`).test(sql));
const writes = (sql) => /\b(INSERT INTO|UPDATE|DELETE FROM)\b/.test(sql);
const forget = (sql) => sql.replaceAll(/\b(?:\w+\.)?organization_id = \$1\b/g, '($1::text IS NOT NULL)');

test('no statement gives or changes what another organization has', { skip: ONLY_HERE }, async (t) => {
  const { server, ours, theirs } = await openTwo(t);
  await server.stop();

  const postgres = await Postgres.shared();
  const both = server.database;
  const alone = await postgres.makeDatabase(both.name);
  const tables = (await both.rows(null, "SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'")).map((row) => row.relname);
  assert.ok(tables.length >= 20);
  const [there, gone] = [await World.open(both), await World.open(alone)];
  t.after(() => Promise.all([there.client.end(), gone.client.end()]));
  await gone.client.query('SET session_replication_role = replica');
  for (const table of tables) await gone.client.query(`DELETE FROM ${table} WHERE organization_id = '${ours.id}'`);
  await gone.client.query('SET session_replication_role = origin');

  // Rows of the first organization: the arguments of one call come from one row of each table.
  const rowsOf = {};
  for (const table of tables) rowsOf[table] = (await there.client.query(`SELECT to_jsonb(r) AS row FROM ${table} r WHERE organization_id = '${ours.id}' LIMIT 50`)).rows.map(({ row }) => row);
  const valueOf = ({ table, column }, named, round, kind) => {
    const fits = (value) => value !== undefined && value !== null && typeof value !== 'object' && (!/bigint|integer/.test(kind) || /^-?\d+$/.test(value));
    for (const name of [table, ...named, ...tables]) {
      const some = (rowsOf[name] ?? []).filter((row) => fits(row[column]));
      if (some.length > 0) return String(some[round % some.length][column]);
    }
    return DEFAULTS[kind] ?? 'none';
  };

  // The arguments of one statement, twice: from the first row of each table, and from the second.
  const argumentsOf = async (sql, named) => {
    await there.client.query(`PREPARE looked AS ${sql}`);
    const { rows: [{ types }] } = await there.client.query("SELECT parameter_types::text[] AS types FROM pg_prepared_statements WHERE name = 'looked'");
    await there.client.query('DEALLOCATE looked');
    const places = placesOf(sql);
    return [0, 1].map((round) => types.map((type, i) => {
      const kind = type.replace('[]', '');
      const { table, column = '', how = '=' } = places[i + 1] ?? {};
      if (/[<>]/.test(how) && how !== '<>' && kind in LOW) return (how[0] === '>' ? LOW : HIGH)[kind];
      const value = valueOf({ table, column }, named, round, kind);
      return type.endsWith('[]') ? [value] : value;
    }));
  };

  // Whether what ours has can be told from what theirs is told; and whether ours itself finds anything that way.
  const examine = async (sql, named) => {
    let tells = null;
    let isSharp = false;
    const before = await there.rowsOf(named, ours.id);
    for (const [, ...rest] of await argumentsOf(sql, named)) {
      const touched = writes(sql) ? named : [];
      const [seen, unseen] = [await there.ask(sql, [theirs.id, ...rest], touched, ours.id), await gone.ask(sql, [theirs.id, ...rest], [], ours.id)];
      isSharp ||= ((await there.ask(sql, [ours.id, ...rest], [], ours.id)).said.rowCount ?? 0) > 0;
      if (JSON.stringify(seen.said) !== JSON.stringify(unseen.said)) tells ??= `says ${JSON.stringify(seen.said)} and without ours ${JSON.stringify(unseen.said)}`;
      for (const table of touched) if (seen.left && seen.left[table] !== before[table]) tells ??= `changes ${table} of ours`;
    }
    return { tells, isSharp };
  };

  const counted = { asked: 0, sharp: 0, forgetful: 0, caught: 0 };
  const findings = [];
  for (const { name, file, sql } of readStatements()) {
    const named = mentions(sql, tables);
    if (named.length === 0) continue;
    assert.ok(sql.includes('$1'), `${file}: ${name} asks for no organization`);
    const places = [...sql.matchAll(/\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)/g)].filter(([, table]) => tables.includes(table)).length;
    assert.ok(sql.match(/\borganization_id\b/g)?.length >= places, `${file}: ${name} names ${places} tables of organizations, and not of whom`);
    counted.asked += 1;
    const { tells, isSharp } = await examine(sql, named);
    if (tells) findings.push(`${file}: ${name} ${tells}`);
    if (!isSharp) continue;
    counted.sharp += 1;
    const without = forget(sql);
    if (without === sql) continue;
    counted.forgetful += 1;
    if ((await examine(without, named)).tells) counted.caught += 1;
  }
  t.diagnostic(`${counted.asked} statements asked; ${counted.sharp} find or change something of their own organization; of ${counted.forgetful} of those without their predicate ${counted.caught} are caught`);
  assert.deepEqual(findings, []);
  assert.ok(counted.asked >= 200);
  assert.ok(counted.sharp >= 0.5 * counted.asked && counted.caught >= 0.9 * counted.forgetful);
});
