(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  // The theme: that of the system, or the one that the reader has chosen. Some browsers refuse storage to files.
  var themes = ["system", "light", "dark"];
  var theme = "system";
  try { theme = localStorage.getItem("imgspec-theme") || theme; } catch (_) { /* not stored */ }
  function showTheme() {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  showTheme();

  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("page-theme");
    var input = document.getElementById("page-search");
    var list = document.getElementById("page-results");
    var index = null, shown = [], active = -1;

    function nameTheme() { button.textContent = "Theme: " + theme; }
    nameTheme();
    button.addEventListener("click", function () {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try { localStorage.setItem("imgspec-theme", theme); } catch (_) { /* not stored */ }
      showTheme();
      nameTheme();
    });

    function fold(text) { return text.toLowerCase().replace(/[_-]/g, " "); }

    // The index is what the page shows: for each article its heading and its first paragraph.
    function entries() {
      if (index) return index;
      index = Array.prototype.map.call(document.querySelectorAll("article[id]"), function (article) {
        var name = article.querySelector("h4 code").textContent;
        var first = article.querySelector("h4 ~ p");
        var doc = first ? first.textContent : "";
        return { id: article.id, kind: article.dataset.kind, name: name, doc: doc, low: fold(name), text: fold(doc) };
      });
      return index;
    }

    function starts(text, word) {
      return text.split(/[^\p{L}\p{N}]+/u).some(function (part) { return part.startsWith(word); });
    }

    function rank(entry, words) {
      var sum = 0;
      for (var word of words) {
        if (entry.low === word) sum += 100;
        else if (entry.low.split(" ").includes(word)) sum += 60;
        else if (starts(entry.low, word)) sum += 40;
        else if (entry.low.includes(word)) sum += 20;
        else if (starts(entry.text, word)) sum += 5;
        else if (entry.text.includes(word)) sum += 1;
        else return 0;
      }
      // A target or a layer has the words of its operating system; a variable is sought more often.
      return sum + (entry.kind === "variable" ? 0.5 : 0);
    }

    function find(query) {
      var words = fold(query).split(/\s+/).filter(Boolean);
      if (!words.length) return [];
      return entries()
        .map(function (entry) { return [rank(entry, words), entry]; })
        .filter(function (pair) { return pair[0] > 0; })
        .sort(function (a, b) { return b[0] - a[0] || (a[1].name < b[1].name ? -1 : 1); })
        .slice(0, 50)
        .map(function (pair) { return pair[1]; });
    }

    function close() {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
      active = -1;
    }

    function mark(next) {
      var items = list.querySelectorAll("[role=option]");
      if (items[active]) items[active].setAttribute("aria-selected", "false");
      active = next;
      if (!items[active]) return;
      items[active].setAttribute("aria-selected", "true");
      items[active].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", items[active].id);
    }

    function part(name, text) {
      var element = document.createElement(name);
      element.textContent = text;
      return element;
    }

    function show() {
      list.textContent = "";
      if (!input.value.trim()) return close();
      shown = find(input.value);
      shown.forEach(function (entry, at) {
        var item = document.createElement("li");
        item.id = "page-result-" + at;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.append(part("b", entry.name), part("i", entry.kind), part("span", entry.doc));
        item.addEventListener("mousedown", function (event) { event.preventDefault(); go(entry); });
        list.append(item);
      });
      if (!shown.length) {
        var none = document.createElement("li");
        none.setAttribute("role", "presentation");
        none.append(part("p", "Nothing is called or documented so."));
        list.append(none);
      }
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      active = -1;
      if (shown.length) mark(0);
    }

    function go(entry) {
      close();
      input.blur();
      location.hash = entry.id;
    }

    input.addEventListener("input", show);
    input.addEventListener("focus", function () { if (input.value) show(); });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", function (event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.hidden) return show();
        if (!shown.length) return;
        var step = event.key === "ArrowDown" ? 1 : shown.length - 1;
        mark((Math.max(active, 0) + step) % shown.length);
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (shown[active]) go(shown[active]);
      } else if (event.key === "Escape") {
        event.preventDefault();
        if (!input.value) return input.blur();
        input.value = "";
        show();
      }
    });
    document.addEventListener("keydown", function (event) {
      var isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName || "");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.focus();
      input.select();
    });
  });
})();
