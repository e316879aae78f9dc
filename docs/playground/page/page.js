// The page: what a user chooses and writes, what the compiler answers, and the address, which has both.
import { Compiler } from "./compiler.js";
import { Editor } from "./editor.js";

const CODES = "https://github.com/imgspec/imgspec/blob/main/docs/codes";
const FORMATTED = "Formatted spec";
const TABS = ["packer.vars.json", "ansible.vars.json", FORMATTED];

const get = (id) => document.getElementById(id);
const compiler = new Compiler();
const editor = new Editor(compile);
let about;
let answer = null;
/** The image that the address names or that was chosen, while there are none to choose from. */
let wantedImage = "";
/** The last question asks for what was there before a change. */
let isOld = false;
let isBusy = false;

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name) => make("option", { value: name, textContent: name, selected: name === chosen })));
}

// ---- Asking ----

/** Compiles what is there now. While a question waits for its answer, only the last change is remembered. */
async function compile() {
  get("examples").value = exampleOf(editor.value);
  isOld = true;
  if (isBusy) return;
  isBusy = true;
  while (isOld) {
    isOld = false;
    keepInAddress();
    const spec = editor.value;
    let found;
    try {
      found = await compiler.ask({ ask: "compile", spec, release: get("releases").value, image: get("images").value || wantedImage });
    } catch (error) {
      found = { failure: error.message };
    }
    // An answer to an older text has its marks at wrong places.
    if (spec === editor.value) show(found);
  }
  isBusy = false;
}

// ---- Showing ----

function show(found) {
  if (found.failure) {
    answer = null;
    get("status").textContent = `There is no result: ${found.failure}. Change the spec to try again.`;
    get("diagnostics").replaceChildren();
  } else {
    answer = found;
    get("status").textContent = count(found);
    get("diagnostics").replaceChildren(...found.diagnostics.map(item));
    editor.mark(found.diagnostics);
  }
  // What was chosen is chosen again when the images are back.
  const images = answer?.images ?? [];
  wantedImage = images.length > 0 ? "" : get("images").value || wantedImage;
  fill(get("images"), images, answer?.image);
  get("images").disabled = images.length === 0;
  get("format").disabled = !answer?.formatted || answer.formatted === editor.value;
  showOutput();
}

function count({ diagnostics, images }) {
  const words = ["error", "warning", "note"].map((severity) => [severity, diagnostics.filter((one) => one.severity === severity).length]);
  const said = words.filter(([, number]) => number > 0).map(([word, number]) => `${number} ${word}${number === 1 ? "" : "s"}`);
  return said.join(", ") || `${images.length} image${images.length === 1 ? "" : "s"}: no problems found`;
}

function item({ severity, code, place, text }) {
  const head = make("div", { className: "head" });
  if (place) {
    const jump = make("button", { type: "button", textContent: `Line ${place.line}` });
    jump.addEventListener("click", () => editor.select(place));
    head.append(jump);
  }
  head.append(make("a", { href: `${CODES}/${code}.md`, textContent: code }));
  return make("li", { className: severity }, head, make("pre", { textContent: text.trimEnd() }));
}

function showOutput() {
  const name = get("tabs").querySelector("[aria-selected=true]").textContent;
  const output = get("output");
  const text = name === FORMATTED ? answer?.formatted : new Map(answer?.files).get(name);
  output.classList.toggle("nothing", !text);
  output.textContent = text || why(name);
}

function why(name) {
  if (!answer) return "There is no result.";
  if (name === FORMATTED) return "imgspec does not format a spec that it cannot parse.";
  if (answer.diagnostics.some((one) => one.severity === "error")) return "imgspec writes nothing while there is an error.";
  return "The spec has no image.";
}

function choose(tab, isFocused) {
  for (const other of get("tabs").children) {
    other.setAttribute("aria-selected", other === tab);
    other.tabIndex = other === tab ? 0 : -1;
  }
  get("output").setAttribute("aria-labelledby", tab.id);
  if (isFocused) tab.focus();
  showOutput();
}

// ---- The address ----

let timer;

function exampleOf(text) {
  return about.examples.find((example) => example.text === text)?.name ?? "";
}

function keepInAddress() {
  clearTimeout(timer);
  // Browsers refuse very many changes.
  timer = setTimeout(() => history.replaceState(null, "", address()), 300);
}

function address() {
  const values = new URLSearchParams();
  const example = exampleOf(editor.value);
  if (example) values.set("example", example);
  else values.set("spec", editor.value);
  if (get("releases").value !== about.release) values.set("release", get("releases").value);
  const images = get("images");
  if (images.selectedIndex > 0) values.set("image", images.value);
  return `#${values}`;
}

function readAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  const example = about.examples.find(({ name }) => name === values.get("example"));
  const first = about.examples.find(({ name }) => name === "quickstart.imgspec") ?? about.examples[0];
  editor.value = values.get("spec") ?? (example ?? first).text;
  get("releases").value = about.releases.find((release) => release === values.get("release")) ?? about.release;
  wantedImage = values.get("image") ?? "";
  get("images").replaceChildren();
  compile();
}

// ---- The start ----

async function start() {
  try {
    about = await compiler.ask({ ask: "about" });
  } catch (error) {
    get("status").textContent = `The compiler does not work here: ${error.message}.`;
    return;
  }
  get("version").textContent = about.version;
  get("spec").disabled = false;
  fill(get("examples"), about.examples.map(({ name }) => name));
  get("examples").prepend(make("option", { value: "", textContent: "your own", hidden: true }));
  fill(get("releases"), about.releases);
  get("beside").replaceChildren(...about.beside.map(({ name, text }) =>
    make("details", {}, make("summary", { textContent: name }), make("pre", { textContent: text }))));

  get("examples").addEventListener("change", ({ target }) => {
    editor.value = about.examples.find(({ name }) => name === target.value).text;
    get("images").replaceChildren();
    wantedImage = "";
    compile();
  });
  get("releases").addEventListener("change", compile);
  get("images").addEventListener("change", compile);
  get("format").addEventListener("click", () => { editor.value = answer.formatted; compile(); });
  get("share").addEventListener("click", async ({ target }) => {
    history.replaceState(null, "", address());
    const copied = navigator.clipboard.writeText(location.href);
    target.textContent = await copied.then(() => "Copied", () => "It is the address");
    setTimeout(() => { target.textContent = "Copy link"; }, 2000);
  });
  addEventListener("hashchange", readAddress);
  readAddress();
}

get("tabs").append(...TABS.map((name, number) => {
  const tab = make("button", { type: "button", role: "tab", id: `tab-${number}`, textContent: name });
  tab.setAttribute("aria-controls", "output");
  tab.addEventListener("click", () => choose(tab, false));
  return tab;
}));
get("tabs").addEventListener("keydown", ({ key, target }) => {
  const next = { ArrowRight: target.nextElementSibling, ArrowLeft: target.previousElementSibling }[key];
  if (next) choose(next, true);
});
choose(get("tabs").firstElementChild, false);
start();
