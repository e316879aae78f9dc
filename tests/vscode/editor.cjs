// What a user does in Visual Studio Code, seen through code-server in Chromium: `node editor.cjs SERVER VSIX FOLDER`.
// SERVER is code-server's program, FOLDER has `demo`, the project, and gets everything else: settings, the server's log, and pictures.
// A step that waits in vain fails with its name, and `failed.png` is what it looked like.
"use strict";
const assert = require("node:assert");
const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

const [server, vsix, folder] = process.argv.slice(2);
const project = path.join(folder, "demo");
const patience = 60_000;

// What would be in the pictures and says nothing about imgspec.
const settings = {
  "chat.commandCenter.enabled": false,
  "editor.minimap.enabled": false,
  "editor.stickyScroll.enabled": false,
  "git.enabled": false,
  "telemetry.telemetryLevel": "off",
  "terminal.integrated.gpuAcceleration": "off", // so that its text is in the page
  "window.commandCenter": false,
  "workbench.colorTheme": "Default Light Modern",
  "workbench.layoutControl.enabled": false,
  "workbench.secondarySideBar.visible": false,
  "workbench.startupEditor": "none",
  "workbench.statusBar.visible": false,
  "workbench.tips.enabled": false,
};

/** Runs code-server until the work is done, which gets its address. */
async function serve(work) {
  const user = path.join(folder, "user");
  const places = ["--user-data-dir", user, "--extensions-dir", path.join(folder, "extensions")];
  const environment = { ...process.env, HOME: folder, IMGSPEC_CACHE: path.join(folder, "cache") };
  // The path of a program is a setting of the machine.
  for (const [name, values] of [["User", settings], ["Machine", { "imgspec.path": process.env.IMGSPEC }]]) {
    fs.mkdirSync(path.join(user, name), { recursive: true });
    fs.writeFileSync(path.join(user, name, "settings.json"), JSON.stringify(values));
  }
  execFileSync("node", [server, ...places, "--install-extension", vsix], { env: environment, stdio: "pipe" });
  const quiet = ["--auth", "none", "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"];
  const socket = ["--bind-addr", "127.0.0.1:0"];
  const running = spawn("node", [server, ...places, ...quiet, ...socket], { env: environment, detached: true });
  try {
    let log = "";
    const keep = (text) => fs.appendFileSync(path.join(folder, "server.log"), text);
    const address = await new Promise((resolve, reject) => {
      running.on("exit", () => reject(new Error(`code-server ended: ${log}`)));
      setTimeout(() => reject(new Error(`code-server has no address: ${log}`)), patience).unref();
      running.stderr.on("data", keep);
      running.stdout.on("data", (text) => {
        keep(text);
        log += text;
        const found = /HTTP server listening on (http:\S+?)\/?\s/.exec(log);
        if (found) resolve(found[1]);
      });
    });
    await work(address);
  } finally {
    running.removeAllListeners("exit");
    process.kill(-running.pid);
  }
}

/** A page with the editor, and what a user does in it. */
class Editor {
  constructor(page) {
    this.page = page;
    this.step = "start";
  }

  /** Waits for an element with a text, which is a regular expression, and returns it. */
  async see(selector, text = /^/) {
    const find = (selector, source) => {
      // The editor writes spaces that do not break.
      const says = (element) => new RegExp(source, "s").test(element.innerText.replaceAll("\u00a0", " "));
      return [...document.querySelectorAll(selector)].find((element) => element.getClientRects().length > 0 && says(element));
    };
    const options = { timeout: patience, polling: 100 };
    try {
      return await this.page.waitForFunction(find, options, selector, text.source);
    } catch (error) {
      throw new Error(`${this.step}: there is no ${selector} with ${text}: ${error.message}`);
    }
  }

  /** Waits until no element has a text. */
  async seeNo(selector, text = /^/) {
    const has = (selector, source) =>
      ![...document.querySelectorAll(selector)].some((element) => element.getClientRects().length > 0 && new RegExp(source, "s").test(element.innerText));
    await this.page.waitForFunction(has, { timeout: patience, polling: 100 }, selector, text.source);
  }

  /** Presses keys one after the other, such as `Control+S`. */
  async press(...chords) {
    for (const chord of chords) {
      const keys = chord.split("+");
      const last = keys.pop();
      for (const key of keys) await this.page.keyboard.down(key);
      await this.page.keyboard.press(last);
      for (const key of keys.reverse()) await this.page.keyboard.up(key);
    }
  }

  type(text) {
    return this.page.keyboard.type(text, { delay: 30 });
  }

  /** Chooses what the quick input shows first for a text. */
  async choose(text, row) {
    await this.see(".quick-input-widget input");
    await this.type(text);
    await this.see(".quick-input-list .monaco-list-row.focused", row);
    await this.press("Enter");
  }

  async command(title) {
    await this.press("F1");
    await this.choose(title, new RegExp(title));
    await this.seeNo(".quick-input-widget .quick-input-list .monaco-list-row.focused", new RegExp(title));
  }

  /** Puts the cursor at a place of the spec: `line` and `column` from 1. */
  async go(line, column) {
    await this.press("Control+G");
    await this.choose(`${line}:${column}`, /Go to line|Press 'Enter'/);
    await this.seeNo(".quick-input-widget .monaco-list-row");
  }

  /** A picture of a part of the window, taken when nothing changes any more. A larger one would change the window. */
  async shoot(name, clip) {
    let before, now;
    do {
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 700));
      now = await this.page.screenshot({ clip, encoding: "base64", captureBeyondViewport: false });
    } while (now !== before);
    fs.writeFileSync(path.join(folder, `${name}.png`), Buffer.from(now, "base64"));
  }
}

/** The code of the spec: what is to the right of the side bar. */
const code = (top, height) => ({ x: 328, y: top, width: 792, height });
const word = ".view-line span:not(:has(span))";
const output = ".split-view-view:last-child .view-lines";
const terminal = ".terminal-wrapper.active .xterm-rows";

const steps = {
  async "the spec has colors"(editor) {
    const colors = async (text) => {
      const element = await editor.see(word, text);
      return element.evaluate((it) => getComputedStyle(it).color);
    };
    const seen = [await colors(/^variable$/), await colors(/^"dev"$/), await colors(/^## The nodes/), await colors(/^4096$/)];
    assert.strictEqual(new Set(seen).size, 4, seen.join());
  },

  async "the outline, lenses, hints and an error"(editor) {
    await editor.command("Explorer: Focus on Outline View");
    // The files make room for the outline.
    await (await editor.see(".pane-header", /^DEMO/)).click();
    await editor.see(".outline-tree .monaco-list-row", /web uses the proxy/);
    await (await editor.see(word, /^tier$/)).click();
    await editor.page.mouse.move(800, 560);
    await editor.go(9, 5);
    await editor.see(".outline-tree .monaco-list-row", /memroy/);
    await editor.see(".codelens-decoration", /24 settings.*show output.*compare/);
    await editor.see(".codelens-decoration", /^run$/);
    await editor.see(word, /= "web on v1\.24\.1"/);
    await editor.see(".squiggly-error", /^/);
    await editor.shoot("overview", { x: 0, y: 0, width: 1120, height: 480 });
  },

  async "the hover over an error"(editor) {
    const place = await editor.see(word, /^memroy$/);
    await place.hover();
    await editor.see(".monaco-hover", /unknown variable `memroy`.*did you mean `memory`/);
    await editor.shoot("finding", code(170, 250));
    await editor.press("Escape");
  },

  async "the quick fix of an error"(editor) {
    await editor.page.mouse.move(800, 560);
    await editor.go(12, 5);
    await editor.press("Control+.");
    await editor.see(".action-widget", /Quick Fix.*replace it with `memory`/);
    await editor.shoot("fix", code(170, 220));
    await editor.press("Escape");
  },

  async "the hover over a variable"(editor) {
    await editor.go(9, 8);
    await editor.press("Control+K", "Control+I");
    await editor.see(".monaco-hover", /variable kubernetes_semver : semver.*In web: "v1\.24\.1", set by web/);
    await editor.shoot("hover", code(56, 300));
    await editor.press("Escape");
  },

  async "completion of a statement"(editor) {
    await editor.go(12, 18);
    await editor.press("Enter");
    await editor.type("kub");
    await editor.see(".suggest-widget.visible .monaco-list-row", /kubernetes_cni_semver/);
    await editor.shoot("completion", code(170, 390));
    await editor.press("Escape");
    for (let n = 0; n < 3; n++) await editor.press("Backspace");
    await editor.press("Control+Shift+K");
  },

  async "the quick fix removes the error"(editor) {
    await editor.go(12, 5);
    await editor.press("Control+.");
    await editor.see(".action-widget .focused", /replace it with `memory`/);
    await editor.press("Enter");
    await editor.see(word, /^memory$/);
    await editor.seeNo(".squiggly-error", /^/);
  },

  async "the output follows each keystroke"(editor) {
    await editor.press("Control+B");
    await (await editor.see(".codelens-decoration a", /^show output$/)).click();
    await editor.see(output, /"extra_debs": "chrony jq htop"/);
    await editor.go(11, 26);
    await editor.type(', "vim"');
    await editor.see(output, /"extra_debs": "chrony jq htop vim"/);
    await editor.shoot("output", { x: 48, y: 0, width: 1072, height: 600 });
    await editor.press("Control+S", "Control+B");
  },

  async "a command checks the project"(editor) {
    await editor.command("imgspec: Check the Project");
    await editor.see(terminal, /imgspec check --format=short.*web\.imgspec:12:5: warning\[/);
  },

  async "a command shows the image at the cursor"(editor) {
    await (await editor.see(word, /^tier$/)).click();
    await editor.go(9, 5);
    await editor.command("imgspec: Show the Values of an Image");
    await editor.see(terminal, / = \S.* # (default|provider rootfs|web)/);
  },

  async "a command adds an image to the spec"(editor) {
    await editor.press("Control+J");
    await (await editor.see(word, /^tier$/)).click();
    await editor.command("imgspec: New Image");
    await editor.choose("rootfs-debian-12", /^rootfs-debian-12/);
    await editor.see(word, /^node$/);
    await editor.type("edge");
    await editor.press("Tab");
    await editor.type("tier");
    await editor.press("Escape");
    await editor.see(".view-line", /^image edge extends rootfs-debian-12 {$/);
    await editor.see(".view-line", /^    tier$/);
  },

  async "the build task reports errors"(editor) {
    await editor.command("Tasks: Run Build Task");
    await editor.choose("build", /^imgspec: build/);
    await editor.see(terminal, /web\.imgspec:23:\d+: error\[/);
  },

  async "a command adds an image to a new spec"(editor) {
    await editor.command("View: Revert and Close Editor");
    await editor.command("View: Close All Editors");
    await editor.command("imgspec: New Image");
    await editor.choose("rootfs-debian-12", /^rootfs-debian-12/);
    await editor.see(word, /^node$/);
    await editor.type("first");
    await editor.see(".view-line", /^image first extends rootfs-debian-12 {/);
    await editor.see(".codelens-decoration", /settings/);
  },
};

async function main() {
  await serve(async (address) => {
    const browser = await puppeteer.launch({
      executablePath: process.env.CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--force-device-scale-factor=1"],
      defaultViewport: { width: 1120, height: 600 },
    });
    const editor = new Editor(await browser.newPage());
    try {
      const host = address.replace("http://", "");
      const file = `vscode-remote://${host}${project}/web.imgspec`;
      const payload = encodeURIComponent(JSON.stringify([["openFile", file]]));
      await editor.page.goto(`${address}/?folder=${encodeURIComponent(project)}&payload=${payload}`);
      await editor.see(word, /^variable$/);
      for (const [name, step] of Object.entries(steps)) {
        editor.step = name;
        await step(editor);
        console.log(`seen: ${name}`);
      }
    } catch (error) {
      await editor.page.screenshot({ path: path.join(folder, "failed.png") });
      throw error;
    } finally {
      await browser.close();
    }
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
