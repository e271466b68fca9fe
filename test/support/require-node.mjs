// The build and the tests stand on Node 22.12 or later; on anything older they must say so, not fail oddly.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  console.error(
    `Node ${process.versions.node} runs this script, but at least 22.12 is needed.\n` +
      'npm scripts run on the devDependency node@24; if they do not, run `npm ci` again with install scripts allowed\n' +
      '(package.json approves exactly one, that of the package `node`).',
  );
  process.exit(1);
}
