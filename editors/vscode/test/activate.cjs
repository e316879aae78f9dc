// Loads the packaged program with a stand-in for the editor and prints what it logs, its status and its commands:
// `node activate.cjs DIST IMGSPEC`. With `FOLDER COMMAND ARGUMENT…` it also runs a command in a workspace, where the user picks
// the first item of each list, and prints what it picks, opens and writes. The arguments are JSON.

const Module = require('node:module');

const [dist, program, folder, command, ...args] = process.argv.slice(2);
const print = (message) => console.log(message);

// Anything that is asked of it is there, and can be called, made and extended.
const anything = new Proxy(class {}, {
  get: (target, name) => (name in target ? target[name] : name === Symbol.toPrimitive ? () => '' : anything),
  apply: () => anything,
});
const stub = (members) => new Proxy(members, { get: (target, name) => target[name] ?? anything });
const call = (value) => () => value;
const registered = {};

class SnippetString {
  constructor(value) { this.value = value; }
  appendText(text) { this.value += text.replace(/[\\$}]/g, '\\$&'); return this; }
  appendPlaceholder(text) { this.value += `\${1:${text}}`; return this; }
  appendTabstop(number) { this.value += `$${number}`; return this; }
}

// An empty document, in an editor.
const document = { getText: () => '', positionAt: () => ({ line: 0, character: 0 }), uri: { scheme: 'untitled' } };
const editor = { document, insertSnippet: async (snippet) => print(`writes: ${snippet.value}`) };
const open = async (what) => { print(`opens: ${JSON.stringify(what)}`); return document; };
const pick = async (items) => {
  const [first] = await items;
  print(`picks: ${first.label}, ${first.description}`);
  return first;
};
const vscode = stub({
  version: '1.91.0',
  EventEmitter: anything,
  LanguageStatusSeverity: anything,
  tasks: anything,
  SnippetString,
  Position: anything,
  Range: anything,
  Uri: { parse: (uri) => uri },
  commands: stub({
    registerCommand: (name, act) => {
      registered[name] = act;
      print(`command: ${name}`);
    },
  }),
  languages: stub({ createLanguageStatusItem: () => ({ set text(text) { print(`status: ${text}`); } }) }),
  window: stub({
    activeTextEditor: { document: {} },
    createOutputChannel: call({ warn: print, error: print, dispose: () => {} }),
    showQuickPick: pick,
    showTextDocument: async () => editor,
  }),
  workspace: stub({
    workspaceFolders: [{ uri: { fsPath: folder } }],
    openTextDocument: open,
    asRelativePath: (uri) => uri.replace(/.*[/]/, ''),
    getConfiguration: call({ get: call(program) }),
    onDidChangeConfiguration: call(anything),
    onDidGrantWorkspaceTrust: call(anything),
  }),
});

const load = Module._load;
Module._load = (name, ...rest) => (name === 'vscode' ? vscode : load(name, ...rest));
const extension = require(dist);
extension.activate({ subscriptions: [] });
if (command) registered[command](...args.map((arg) => JSON.parse(arg))).catch((error) => print(`error: ${error.message}`));
extension.deactivate();
