// ClickHouse in a process: each line of stdin is a JSON object whose member sql
// is run, several statements at once; each line of stdout is its answer, rows in
// CSV or the error.
'use strict';
const { Session } = require('chdb');
const readline = require('readline');

const [dir, config] = process.argv.slice(2);
const session = new Session(dir, config ? { connectionArgs: ['--config-file=' + config] } : undefined);
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  let answer;
  try {
    answer = { csv: session.query(JSON.parse(line).sql, 'CSV') };
  } catch (e) {
    answer = { error: String(e) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}).on('close', () => process.exit(0));
