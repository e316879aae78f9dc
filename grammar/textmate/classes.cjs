// Prints what the TextMate grammar takes for comments, texts and numbers: `node classes.cjs FILE…` gives a line of
// JSON a file, [[start, end, class], …] in bytes. Modules are found through NODE_PATH.

const fs = require('node:fs');
const path = require('node:path');
const { INITIAL, Registry, parseRawGrammar } = require('vscode-textmate');
const oniguruma = require('vscode-oniguruma');

const grammarFile = path.join(__dirname, '../imgspec.tmLanguage.json');

// The innermost scope that decides it. The inside of an interpolation is code again.
function classOf(scopes) {
  for (const scope of [...scopes].reverse()) {
    if (scope.startsWith('comment.')) return 'comment';
    if (scope.startsWith('constant.numeric.')) return 'number';
    if (scope.startsWith('meta.interpolation.')) return null;
    if (scope.startsWith('string.')) return 'text';
  }
  return null;
}

function classes(grammar, text) {
  const found = [];
  let state = INITIAL;
  let offset = 0;
  for (const line of text.split('\n')) {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, state);
    const at = (column) => offset + Buffer.byteLength(line.slice(0, column));
    for (const token of tokens) {
      const kind = classOf(token.scopes);
      if (kind) found.push([at(token.startIndex), at(Math.min(token.endIndex, line.length)), kind]);
    }
    state = ruleStack;
    offset += Buffer.byteLength(line) + 1;
  }
  return found;
}

async function main(files) {
  const wasm = fs.readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm'));
  await oniguruma.loadWASM(wasm);
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
      createOnigString: (text) => new oniguruma.OnigString(text),
    }),
    // Others, such as TOML's, are the editor's.
    loadGrammar: async (scope) =>
      scope === 'source.imgspec' ? parseRawGrammar(fs.readFileSync(grammarFile, 'utf8'), grammarFile) : null,
  });
  const grammar = await registry.loadGrammar('source.imgspec');
  for (const file of files) {
    console.log(JSON.stringify(classes(grammar, fs.readFileSync(file, 'utf8'))));
  }
}

main(process.argv.slice(2));
