// Loads the packaged program with a stand-in for the editor and prints what it logs, its status and its commands:
// `node activate.cjs DIST IMGSPEC`.

const Module = require('node:module');

const [dist, program] = process.argv.slice(2);
const print = (message) => console.log(message);

// Anything that is asked of it is there, and can be called, made and extended.
const anything = new Proxy(class {}, {
  get: (target, name) => (name in target ? target[name] : name === Symbol.toPrimitive ? () => '' : anything),
  apply: () => anything,
});
const stub = (members) => new Proxy(members, { get: (target, name) => target[name] ?? anything });
const call = (value) => () => value;
const vscode = stub({
  version: '1.91.0',
  EventEmitter: anything,
  LanguageStatusSeverity: anything,
  tasks: anything,
  commands: stub({ registerCommand: (name) => print(`command: ${name}`) }),
  languages: stub({ createLanguageStatusItem: () => ({ set text(text) { print(`status: ${text}`); } }) }),
  window: stub({ createOutputChannel: call({ warn: print, error: print, dispose: () => {} }) }),
  workspace: stub({
    getConfiguration: call({ get: call(program) }),
    onDidChangeConfiguration: call(anything),
    onDidGrantWorkspaceTrust: call(anything),
  }),
});

const load = Module._load;
Module._load = (name, ...rest) => (name === 'vscode' ? vscode : load(name, ...rest));
const extension = require(dist);
extension.activate({ subscriptions: [] });
extension.deactivate();
