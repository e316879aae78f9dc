// What a user does with the playground, in Chromium: `node browser.cjs PAGE PICTURES QUESTIONS ANSWERS`. The first is the
// page's folder; the last two are files, and the page answers the questions of the one into the other.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

const [folder, pictures, questions, answers] = process.argv.slice(2);
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
// In the place of the compiler: one that never answers.
const STUCK = "postMessage({ ready: true }); onmessage = () => { for (;;); };";

/** Serves the page at `/page/`, and below `/stuck/` with a compiler that never answers. */
function serve() {
  const server = http.createServer(({ url }, response) => {
    const [, place, name] = url.split(/[?#]/)[0].split("/");
    const file = path.join(folder, name || "index.html");
    if (!["page", "stuck"].includes(place) || !fs.existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] });
    response.end(place === "stuck" && name === "worker.js" ? STUCK : fs.readFileSync(file));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

async function main() {
  const server = await serve();
  const root = `http://127.0.0.1:${server.address().port}`;
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
    defaultViewport: { width: 1280, height: 900 },
    protocolTimeout: 600_000,
  });
  try {
    await useIt(browser, root);
    await neverWaitForever(browser, root);
    await answerAll(browser, root);
  } finally {
    await browser.close();
    server.close();
  }
}

async function useIt(browser, root) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (message) => said.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${root}/page/`) && !url.startsWith("data:")) said.push(`request: ${url}`);
  });
  await browser.defaultBrowserContext().overridePermissions(root, ["clipboard-read", "clipboard-sanitized-write"]);
  const text = (selector) => page.$eval(selector, (element) => element.textContent);
  const value = () => page.$eval("#spec", (element) => element.value);
  const status = (wanted) => page.waitForFunction((wanted) => document.getElementById("status").textContent === wanted, {}, wanted);
  const shoot = (name) => page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  const write = async (spec) => {
    await page.focus("#spec");
    await page.keyboard.down("Control");
    await page.keyboard.press("a");
    await page.keyboard.up("Control");
    await page.keyboard.sendCharacter(spec);
  };

  // The first example, with its output.
  await page.goto(`${root}/page/`);
  await status("1 image: no problems found");
  assert.strictEqual(await text("#version"), process.env.VERSION);
  const packer = JSON.parse(await text("#output"));
  assert.strictEqual(packer.extra_debs, "jq");
  await page.focus("#tabs [aria-selected=true]");
  await page.keyboard.press("ArrowRight");
  assert.deepStrictEqual(JSON.parse(await text("#output")).extra_debs, ["jq"]);

  // Each other one, which may name the files beside it.
  const names = await page.$$eval("#examples option:not([hidden])", (options) => options.map((option) => option.value));
  assert.ok(names.length >= 10, names.join());
  for (const name of names) {
    await page.select("#examples", name);
    await page.waitForFunction((name) => location.hash === `#example=${name}`, {}, name);
    assert.doesNotMatch(await text("#status"), /error|no result/, name);
    assert.notStrictEqual(await page.$eval("#images", (element) => element.value), "", name);
  }

  // A mistake is at its place, behind letters that take two units in JavaScript, and nothing is written.
  const wrong = "image a extends qemu-ubuntu-2004 {\n  ansible { motd = \"𝕩𝕩\" }, memroy = 4096\n}\n";
  await write(wrong);
  await page.waitForSelector("#diagnostics li.error");
  assert.match(await text("#diagnostics li.error pre"), /unknown variable `memroy`/);
  assert.strictEqual(await text("#marks mark.error"), "memroy");
  assert.strictEqual(await text("#gutter .error"), "2");
  assert.match(await text("#output"), /writes nothing/);
  await page.click("#diagnostics li.error button");
  const chosen = () => page.$eval("#spec", (element) => element.value.slice(element.selectionStart, element.selectionEnd));
  assert.strictEqual(await chosen(), "memroy");
  await shoot("light-1280");
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
  await shoot("dark-1280");
  await page.setViewport({ width: 400, height: 800 });
  await shoot("dark-400");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 400, `${width}`);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
  await shoot("light-400");
  await page.setViewport({ width: 1280, height: 900 });

  // Its mend, by writing over what is selected; and the layout.
  await page.focus("#spec");
  await page.keyboard.sendCharacter("memory");
  await page.waitForSelector("#diagnostics li.error", { hidden: true });
  await page.click("#format");
  await page.waitForFunction(() => document.getElementById("format").disabled);
  assert.match(await value(), /^ {4}memory = 4096$/m);

  // The link has the text and what is chosen.
  await write("image a extends qemu-ubuntu-2404 {}\nimage b extends a { memory = 5000 }\n");
  await page.select("#releases", "v0.1.55");
  await page.waitForFunction(() => document.querySelectorAll("#images option").length === 2);
  await page.select("#images", "b");
  await page.focus("#tabs button");
  await page.click("#tabs button");
  await page.waitForFunction(() => document.getElementById("output").textContent.includes('"5000"'));
  await page.click("#share");
  await page.waitForFunction(() => document.getElementById("share").textContent === "Copied");
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const spec = await value();
  await page.goto("about:blank");
  await page.goto(link);
  await page.waitForFunction(() => document.getElementById("output").textContent.includes('"5000"'));
  assert.strictEqual(await value(), spec);
  assert.strictEqual(await page.$eval("#releases", (element) => element.value), "v0.1.55");
  await shoot("shared");

  // What is too much for a browser is said, and the next spec has its result.
  await write(`image a extends qemu-ubuntu-2404 { memory = ${"(".repeat(100_000)} }`);
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("nested too deeply"));
  await write(spec);
  await status("2 images: no problems found");
  assert.deepStrictEqual(said, []);
  await page.close();
}

/** A compiler that never answers is stopped. */
async function neverWaitForever(browser, root) {
  const page = await browser.newPage();
  await page.goto(`${root}/stuck/`);
  await page.waitForFunction(() => document.getElementById("status").textContent.includes("was stopped"));
  await page.close();
}

/** Answers the questions of the test, one after another. */
async function answerAll(browser, root) {
  const page = await browser.newPage();
  await page.goto(`${root}/page/`);
  const all = await page.evaluate(async (questions) => {
    const { Compiler } = await import("./compiler.js");
    const compiler = new Compiler();
    const answers = [];
    for (const question of questions) {
      answers.push(await compiler.ask(question).catch((error) => ({ failure: error.message })));
    }
    return answers;
  }, JSON.parse(fs.readFileSync(questions, "utf8")));
  fs.writeFileSync(answers, JSON.stringify(all));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
