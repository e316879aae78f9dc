// What a reader does with a report, in Chromium: `node browser.cjs PAGE FOLDER`. Pictures go to FOLDER.
// `node browser.cjs --mermaid LIBRARY FILE…` lets Mermaid draw files.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const puppeteer = require("puppeteer-core");

async function open(work) {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
    defaultViewport: { width: 1280, height: 900 },
  });
  try {
    const page = await browser.newPage();
    const said = [];
    page.on("console", (message) => said.push(`console: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => { said.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    await work(page, said);
  } finally {
    await browser.close();
  }
}

async function readReport(file, folder) {
  const address = `file://${path.resolve(file)}`;
  await open(async (page, said) => {
    page.on("request", (request) => {
      if (request.url().split("#")[0] !== address && !request.url().startsWith("data:")) said.push(`request: ${request.url()}`);
    });
    const text = (selector) => page.$eval(selector, (element) => element.innerText);
    const hash = () => page.evaluate(() => decodeURIComponent(location.hash));
    const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
    const keys = async (...names) => { for (const name of names) await page.keyboard.press(name); };
    const shoot = (name) => page.screenshot({ path: path.join(folder, `${name}.png`) });
    const back = () => page.$eval("body", (body) => getComputedStyle(body).backgroundColor);
    const rows = () => page.$$eval("#report-view table.settings > tbody > tr > th", (heads) => heads.map((head) => head.innerText));

    // Both themes of the system, then those of the switch, by the keyboard.
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    await page.goto(address);
    const light = await back();
    await shoot("overview-light");
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
    const dark = await back();
    assert.notStrictEqual(light, dark);
    await shoot("overview-dark");
    await page.focus("#page-theme");
    await keys("Enter");
    assert.strictEqual(await text("#page-theme"), "Theme: light");
    assert.strictEqual(await back(), light);
    await keys("Enter");
    assert.strictEqual(await back(), dark);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }]);
    assert.strictEqual(await back(), dark);
    await keys("Enter");
    assert.strictEqual(await back(), light);

    // The graph: links that the keyboard reaches.
    assert.strictEqual(await page.$$eval("svg.graph a", (links) => links.length), 9);
    await page.$eval('svg.graph a[href="#layer=corp"]', (link) => link.focus());
    await keys("Enter");
    await page.waitForSelector("#report-view h1");
    assert.strictEqual(await text("#report-view h1"), "corp");
    assert.deepStrictEqual(await rows(), ["extra_rpms", "http_proxy", "memory", "no_proxy"]);

    // A variable, by its name.
    await page.focus("#page-main");
    await page.keyboard.press("/");
    assert.strictEqual(await focus(), "page-search");
    await page.keyboard.type("memory");
    await keys("ArrowDown", "ArrowUp", "Enter");
    await page.waitForFunction(() => location.hash === "#variable=memory");
    assert.strictEqual(await focus(), "H1");
    const values = await page.$$eval("#report-view tbody > tr > td:first-child > code", (cells) => cells.map((cell) => cell.innerText));
    assert.ok(values.includes("4096") && values.includes("2048"), values.join());

    // A value, which is HTML.
    await page.keyboard.press("/");
    await page.keyboard.type("alert(4)");
    assert.match(await text("#page-results"), /value in 1 image/);
    await keys("Enter");
    await page.waitForFunction(() => location.hash === "#variable=motd");
    assert.match(await text("#report-view"), /<\/script><script>alert\(4\)<\/script> & \\u\{1b\}\[31m/);
    await page.keyboard.press("/");
    await page.keyboard.type("there is no such thing");
    assert.match(await text("#page-results"), /No name and no value/);
    await keys("Escape", "Escape");

    // An image: a value, its line, and on demand what it overrides.
    await page.focus("#report-filter");
    await page.keyboard.type("storage");
    assert.strictEqual(await text("#report-count"), "1 of 7");
    await keys("Tab", "Enter");
    await page.waitForFunction(() => location.hash === "#image=storage-node");
    await shoot("image");
    const shown = await rows();
    assert.ok(shown.includes("memory") && !shown.includes("cpus"), shown.join());
    const row = (await page.$$("#report-view table.settings > tbody > tr"))[shown.indexOf("memory")];
    assert.match(await row.evaluate((tr) => tr.innerText), /4096\s+fleet\.imgspec:15 storage-node/);
    await (await row.$("summary")).focus();
    await keys("Enter");
    assert.match(await row.evaluate((tr) => tr.innerText), /over\s+2048\s+shared\/corp\.imgspec:5 corp/);
    await page.focus("#report-own");
    await keys("Space");
    assert.ok((await rows()).length > 50);
    assert.strictEqual(await focus(), "report-own");
    await keys("Space");

    // Two images, chosen by the keyboard.
    await page.focus("#report-right");
    await page.keyboard.type("plain-node");
    await page.focus("#report-compare");
    await keys("Enter");
    await page.waitForFunction(() => location.hash === "#compare=storage-node&with=plain-node");
    await shoot("compare");
    const different = await rows();
    const expected = process.env.DIFFERENT.split(" ");
    assert.deepStrictEqual(different, expected);
    await page.focus("#report-different");
    await keys("Space");
    assert.ok((await rows()).length > 100);

    // A narrow window, and an address that leads nowhere.
    await page.setViewport({ width: 400, height: 800 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
    await page.goto(`${address}#image=no-such-image`);
    assert.strictEqual(await page.$eval("#report-overview", (element) => element.hidden), false);
    assert.strictEqual(await hash(), "#image=no-such-image");
    assert.deepStrictEqual(said, []);
  });
}

async function drawByMermaid(library, files) {
  await open(async (page, said) => {
    await page.addScriptTag({ path: library });
    for (const file of files) {
      const names = await page.evaluate(async (text) => {
        mermaid.initialize({ startOnLoad: false });
        const { svg } = await mermaid.render("picture", text);
        const parsed = new DOMParser().parseFromString(svg, "text/html");
        return Array.from(parsed.querySelectorAll(".nodeLabel"), (label) => label.innerHTML.split(/<br ?\/?>/)[0].replace(/<\/?p>/g, ""));
      }, fs.readFileSync(file, "utf8"));
      console.log(JSON.stringify(names));
    }
    assert.deepStrictEqual(said, []);
  });
}

const [first, ...rest] = process.argv.slice(2);
(first === "--mermaid" ? drawByMermaid(rest[0], rest.slice(1)) : readReport(first, rest[0])).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
