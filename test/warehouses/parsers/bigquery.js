// Parses stdin as BigQuery's SQL and prints the number of statements.
'use strict';
const { parse } = require('sql-parser-cst');
const sql = require('fs').readFileSync(0, 'utf8');
const tree = parse(sql, { dialect: 'bigquery', includeComments: true, includeNewlines: true, includeSpaces: true });
process.stdout.write(String(tree.statements.filter((s) => s.type !== 'empty').length));
