// Starts `imgspec lsp` and connects it with the editor. What the language looks like is in the files beside this one.

import { execFile } from 'node:child_process';
import * as vscode from 'vscode';
import { LanguageClient } from 'vscode-languageclient/node';

let client: LanguageClient | undefined;
let log: vscode.LogOutputChannel;

// Starts and stops follow one another, so that settings which change quickly leave one server.
let last: Promise<void> = Promise.resolve();

export function activate(context: vscode.ExtensionContext): void {
  log = vscode.window.createOutputChannel('imgspec', { log: true });
  context.subscriptions.push(
    log,
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
  last = last.then(stop).then(start).catch((error) => log.error(String(error)));
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  await running?.dispose();
}

async function start(): Promise<void> {
  // In a folder that is not trusted this is what the user's own settings say, never the folder's.
  const command = vscode.workspace.getConfiguration('imgspec').get<string>('path') || 'imgspec';
  const problem = await findProblem(command);
  if (problem) {
    log.warn(`${problem} Highlighting works without it.`);
    return;
  }
  const run = { command, args: ['lsp'] };
  client = new LanguageClient('imgspec', 'imgspec', run, {
    // The server knows var files from other JSON, and leaves the others alone.
    documentSelector: [
      { language: 'imgspec', scheme: 'file' },
      { language: 'json', scheme: 'file' },
    ],
    outputChannel: log,
  });
  await client.start();
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
