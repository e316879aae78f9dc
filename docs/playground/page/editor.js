// A text with line numbers beside it and marks under it. The marks are a copy of the text behind the text.

/** Returns the offset in a text of a place, whose column counts characters and not units of UTF-16. */
function offset(lines, line, column) {
  const before = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  return before + Array.from(lines[line - 1] ?? "").slice(0, column - 1).join("").length;
}

export class Editor {
  #text = document.getElementById("spec");
  #marks = document.getElementById("marks");
  #gutter = document.getElementById("gutter");

  constructor(changed) {
    this.#text.addEventListener("input", () => { this.mark([]); changed(); });
    this.#text.addEventListener("scroll", () => {
      this.#marks.scrollTo(this.#text.scrollLeft, this.#text.scrollTop);
      this.#gutter.scrollTop = this.#text.scrollTop;
    });
  }

  get value() { return this.#text.value; }

  set value(text) {
    this.#text.value = text;
    this.mark([]);
  }

  /** Selects the place of a diagnostic. */
  select({ line, column, end_line, end_column }) {
    const lines = this.value.split("\n");
    this.#text.focus();
    this.#text.setSelectionRange(offset(lines, line, column), offset(lines, end_line, end_column));
    const height = this.#text.scrollHeight / Math.max(lines.length, 1);
    this.#text.scrollTop = (line - 1) * height - this.#text.clientHeight / 2;
  }

  /** Shows where diagnostics are. Where they overlap, the first one is shown. */
  mark(diagnostics) {
    const text = this.value;
    const lines = text.split("\n");
    const worst = new Map();
    const ranges = [];
    for (const { severity, message, place } of diagnostics.filter((diagnostic) => diagnostic.place)) {
      if (worst.get(place.line)?.severity !== "error") worst.set(place.line, { severity, message });
      const from = offset(lines, place.line, place.column);
      ranges.push({ severity, from, to: Math.max(offset(lines, place.end_line, place.end_column), from + 1) });
    }
    ranges.sort((a, b) => a.from - b.from);
    const pieces = [];
    let at = 0;
    for (const { severity, from, to } of ranges.filter((range) => range.from < text.length)) {
      if (from < at) continue;
      const mark = document.createElement("mark");
      mark.className = severity;
      mark.textContent = text.slice(from, to);
      pieces.push(text.slice(at, from), mark);
      at = to;
    }
    // The last line has a height even if it is empty.
    this.#marks.replaceChildren(...pieces, text.slice(at), "\n");
    this.#gutter.replaceChildren(...lines.map((_, number) => {
      const line = document.createElement("div");
      const found = worst.get(number + 1);
      line.textContent = number + 1;
      line.className = found?.severity ?? "";
      line.title = found?.message ?? "";
      return line;
    }));
    this.#marks.scrollTo(this.#text.scrollLeft, this.#text.scrollTop);
    this.#gutter.scrollTop = this.#text.scrollTop;
  }
}
