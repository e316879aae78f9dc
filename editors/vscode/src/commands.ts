// What runs `imgspec` in a terminal: commands, tasks, and the client's half of lenses.

import { execFile } from 'node:child_process';
import * as path from 'node:path';
import * as vscode from 'vscode';

/** Commands that lenses run. The server shows only lenses whose command is in this list. */
export const LENSES = {
  showOutput: 'imgspec.showOutput',
  compare: 'imgspec.compare',
  runTest: 'imgspec.runTest',
  showImages: 'imgspec.showImages',
};

/** An image that an edit would rebuild, as the lens names it. */
interface Rebuilt {
  name: string;
  uri: string;
  range: { start: { line: number; character: number } };
}

/** A task of tasks.json: `{ "type": "imgspec", "command": "check", "args": ["web"] }`. */
interface Definition extends vscode.TaskDefinition {
  command: string;
  args?: string[];
}

/** A target, as `imgspec list --targets --json` prints it. */
interface Target {
  image: string;
  doc: string | null;
}

/** The program that the settings name. In a folder that is not trusted, this is the user's own setting. */
export function program(): string {
  return settings().get<string>('path') || 'imgspec';
}

function settings(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration('imgspec');
}

/** The commands, except those that need the server itself, and the tasks. */
export function register(): vscode.Disposable[] {
  const command = vscode.commands.registerCommand;
  return [
    command('imgspec.check', () => run(active(), 'check')),
    command('imgspec.show', onImage((spec, image) => run(spec, 'show', image))),
    command('imgspec.build', onImage((spec, image) => run(spec, 'build', image))),
    command(LENSES.compare, onImage((spec, image) => {
      const against = settings().get<string>('compareWith') || 'HEAD';
      return run(spec, 'diff', `--against=${against}`, image);
    })),
    command(LENSES.runTest, (uri: string, test: string) => run(vscode.Uri.parse(uri), 'test', `--filter=${test}`)),
    command(LENSES.showImages, showImages),
    command('imgspec.newImage', newImage),
    vscode.tasks.registerTaskProvider('imgspec', {
      provideTasks: () => ['check', 'test', 'build'].map((name) => task({ type: 'imgspec', command: name })),
      resolveTask: (given) => task(given.definition as Definition, given.scope),
    }),
  ];
}

type Scope = vscode.WorkspaceFolder | vscode.TaskScope | undefined;

/** A task in a folder; its terminal shows what the program prints, and its diagnostics are problems. */
function task(definition: Definition, scope?: Scope, cwd?: string): vscode.Task {
  const args = [definition.command, '--format=short', ...(definition.args ?? [])];
  const name = [definition.command, ...(definition.args ?? [])].join(' ');
  const execution = new vscode.ProcessExecution(program(), args, cwd ? { cwd } : undefined);
  const made = new vscode.Task(definition, scope ?? vscode.TaskScope.Workspace, name, 'imgspec', execution, '$imgspec');
  if (definition.command === 'build') made.group = vscode.TaskGroup.Build;
  if (definition.command === 'test') made.group = vscode.TaskGroup.Test;
  return made;
}

/** Runs a command in the folder of a spec, or in the workspace. */
async function run(spec: vscode.Uri | undefined, command: string, ...args: string[]): Promise<void> {
  await vscode.workspace.saveAll();
  const folder = spec && vscode.workspace.getWorkspaceFolder(spec);
  const cwd = spec?.scheme === 'file' ? path.dirname(spec.fsPath) : undefined;
  await vscode.tasks.executeTask(task({ type: 'imgspec', command, args }, folder, cwd));
}

/** The spec in front. */
function active(): vscode.Uri | undefined {
  const document = vscode.window.activeTextEditor?.document;
  return document?.languageId === 'imgspec' ? document.uri : undefined;
}

/** A command for an image: the one that a lens names, the one at the cursor, or one that the user picks. */
function onImage(act: (spec: vscode.Uri, image: string) => Promise<void>) {
  return async (uri?: string, name?: string): Promise<void> => {
    const spec = uri ? vscode.Uri.parse(uri) : active();
    if (!spec) {
      void vscode.window.showInformationMessage('Open a spec first.');
      return;
    }
    const image = name ?? (await pickImage(spec));
    if (image) await act(spec, image);
  };
}

async function pickImage(spec: vscode.Uri): Promise<string | undefined> {
  const found = await vscode.commands.executeCommand<vscode.DocumentSymbol[] | undefined>(
    'vscode.executeDocumentSymbolProvider',
    spec,
  );
  const images = (found ?? []).filter((symbol) => symbol.detail === 'image');
  const cursor = vscode.window.activeTextEditor?.selection.active;
  const here = cursor && images.find((image) => image.range.contains(cursor));
  if (here) return here.name;
  if (images.length === 0) void vscode.window.showInformationMessage('This spec contains no image.');
  return vscode.window.showQuickPick(images.map((image) => image.name), { placeHolder: 'Image' });
}

/** Lists images, and opens the one that the user picks. */
async function showImages(images: Rebuilt[]): Promise<void> {
  const items = images.map((image) => ({
    label: image.name,
    description: vscode.workspace.asRelativePath(vscode.Uri.parse(image.uri)),
    image,
  }));
  const picked = await vscode.window.showQuickPick(items, { placeHolder: 'Image to open', matchOnDescription: true });
  if (!picked) return;
  const { line, character } = picked.image.range.start;
  const at = new vscode.Position(line, character);
  const document = await vscode.workspace.openTextDocument(vscode.Uri.parse(picked.image.uri));
  await vscode.window.showTextDocument(document, { selection: new vscode.Range(at, at) });
}

/** Asks for a target, and adds an image to the spec in front or to a new one. The user writes its name there. */
async function newImage(): Promise<void> {
  const target = await vscode.window.showQuickPick(targets(), { placeHolder: 'Target', matchOnDescription: true });
  if (!target) return;
  const text = new vscode.SnippetString('image ').appendPlaceholder('node');
  text.appendText(` extends ${target.label} {\n    `).appendTabstop(0).appendText('\n}\n');
  let editor = vscode.window.activeTextEditor;
  if (editor?.document.languageId !== 'imgspec') {
    const document = await vscode.workspace.openTextDocument({ language: 'imgspec' });
    editor = await vscode.window.showTextDocument(document);
  }
  const { document } = editor;
  const end = document.positionAt(document.getText().length);
  if (end.line > 0 || end.character > 0) {
    const gap = end.character > 0 ? '\n\n' : '\n';
    await editor.edit((edit) => edit.insert(end, gap));
  }
  await editor.insertSnippet(text, document.positionAt(document.getText().length));
}

/** The targets of the library that holds where the spec in front is. */
function targets(): Promise<vscode.QuickPickItem[]> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const spec = active();
  const cwd = spec?.scheme === 'file' ? path.dirname(spec.fsPath) : folder;
  return new Promise((resolve, reject) => {
    execFile(program(), ['list', '--targets', '--json'], { cwd, timeout: 10_000 }, (error, printed) => {
      // With an error in a spec the command fails, but it prints the targets.
      if (error && !printed) reject(new Error(`imgspec list --targets: ${error.message}`));
      else resolve((JSON.parse(printed) as Target[]).map(({ image, doc }) => ({ label: image, description: doc ?? '' })));
    });
  });
}
