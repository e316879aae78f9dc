// Starts `imgspec lsp` and connects it with the editor. What the language looks like is in the files beside this one.

import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { LanguageClient } from 'vscode-languageclient/node';
import { LENSES, program, register } from './commands';

// The scheme of documents whose text the server makes: the files that a compilation would write.
const OUTPUT = 'imgspec-out';

let client: LanguageClient | undefined;
let changed: vscode.EventEmitter<vscode.Uri>;
let log: vscode.LogOutputChannel;
let status: vscode.LanguageStatusItem;

// Starts and stops follow one another, so that settings which change quickly leave one server.
let last: Promise<void> = Promise.resolve();

export function activate(context: vscode.ExtensionContext): void {
  log = vscode.window.createOutputChannel('imgspec', { log: true });
  changed = new vscode.EventEmitter();
  status = vscode.languages.createLanguageStatusItem('imgspec', { language: 'imgspec' });
  status.name = 'imgspec';
  status.command = { title: 'Restart', command: 'imgspec.restart' };
  context.subscriptions.push(
    log,
    changed,
    status,
    ...register(),
    vscode.commands.registerCommand('imgspec.restart', restart),
    vscode.workspace.registerTextDocumentContentProvider(OUTPUT, {
      onDidChange: changed.event,
      provideTextDocumentContent: async (uri) => {
        const asked = { uri: uri.toString() };
        const content = await client?.sendRequest<{ text: string } | null>('workspace/textDocumentContent', asked);
        return content?.text ?? '';
      },
    }),
    vscode.commands.registerCommand(LENSES.showOutput, async (uri: string) => {
      const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(uri));
      await vscode.languages.setTextDocumentLanguage(document, 'json');
      await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true });
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration('imgspec.path')) restart();
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => restart()),
  );
  restart();
}

export async function deactivate(): Promise<void> {
  await last;
  await stop();
}

function restart(): void {
  last = last.then(stop).then(start).catch((error) => {
    log.error(String(error));
    show('the server does not start', vscode.LanguageStatusSeverity.Error);
  });
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  await running?.dispose();
}

async function start(): Promise<void> {
  const command = program();
  show('starting', vscode.LanguageStatusSeverity.Information, true);
  const problem = await findProblem(command);
  if (problem) {
    log.warn(`${problem} Highlighting works without it.`);
    show(problem, vscode.LanguageStatusSeverity.Error);
    return;
  }
  const run = { command, args: ['lsp'] };
  client = new LanguageClient('imgspec', 'imgspec', run, {
    // The server knows var files from other JSON, and leaves the others alone.
    documentSelector: [
      { language: 'imgspec', scheme: 'file' },
      { language: 'imgspec', scheme: 'untitled' },
      { language: 'json', scheme: 'file' },
      { scheme: OUTPUT },
    ],
    initializationOptions: { commands: Object.values(LENSES) },
    outputChannel: log,
  });
  client.registerFeature({
    fillClientCapabilities: (able) => {
      able.workspace = Object.assign(able.workspace ?? {}, { textDocumentContent: {} });
    },
    initialize: () => {},
    getState: () => ({ kind: 'static' }),
    clear: () => {},
  });
  client.onRequest('workspace/textDocumentContent/refresh', ({ uri }: { uri: string }) => {
    changed.fire(vscode.Uri.parse(uri));
    return null;
  });
  await client.start();
  show(client.initializeResult?.serverInfo?.version ?? command, vscode.LanguageStatusSeverity.Information);
}

/** Says in the status bar how the server is. */
function show(text: string, severity: vscode.LanguageStatusSeverity, busy = false): void {
  Object.assign(status, { text: `imgspec: ${text}`, severity, busy });
}

/** Why there is no language server; asked before one is started, which would else be tried again and again. */
function findProblem(command: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, ['lsp', '--help'], { timeout: 10_000 }, (error) => {
      if (!error) resolve(undefined);
      else if (error.code === 'ENOENT')
        resolve(`There is no program ${command}: install imgspec, or set imgspec.path.`);
      else resolve(`${command} has no language server.`);
    });
  });
}
