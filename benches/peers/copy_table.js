// copy-dynamodb-table, as its readme shows it: node copy_table.js ENDPOINT SOURCE TARGET
const { copy } = require('copy-dynamodb-table');

const [endpoint, source, target] = process.argv.slice(2);
const config = { endpoint, region: 'us-east-1', accessKeyId: 'test', secretAccessKey: 'test' };

copy(
  { config, source: { tableName: source }, destination: { tableName: target }, log: false },
  (error, result) => {
    if (error) {
      console.error(error);
      process.exit(1);
    }
    console.log(JSON.stringify(result));
  },
);
