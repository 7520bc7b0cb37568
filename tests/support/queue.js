// Runs a file of `dry-run --as js` as it stands, and prints what its queues hold. Usage: node queue.js FILE
const fs = require("fs");
const vm = require("vm");

const sandbox = {};
vm.runInNewContext(fs.readFileSync(process.argv[2], "utf8"), sandbox);
const queues = sandbox._kmqs || { main: sandbox._kmq };
process.stdout.write(JSON.stringify(Object.entries(queues)));
