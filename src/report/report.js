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
    var data = JSON.parse(document.getElementById("report-data").textContent);
    var byId = function (id) { return document.getElementById(id); };
    var view = byId("report-view"), overview = byId("report-overview"), main = byId("page-main");
    var input = byId("page-search"), list = byId("page-results"), filter = byId("report-filter");
    var VARIABLE = 0, VALUE = 1, STEPS = 2;
    var own = new Set(data.own_names);

    // ---- what the data say --------------------------------------------------------------------

    var images = data.images.map(function (image, at) {
      return { at: at, name: image.name, doc: image.doc, data: image };
    });
    var imageByName = new Map(images.map(function (image) { return [image.name, image]; }));
    var variableByName = new Map(data.variables.map(function (variable, at) { return [variable[0], at]; }));

    function tracesOf(image) {
      return data.bases[image.data.base].concat(image.data.own);
    }

    // From each variable of an image to its trace.
    function valuesOf(image) {
      return new Map(tracesOf(image).map(function (at) { return [data.traces[at][VARIABLE], at]; }));
    }

    function byVariable(a, b) { return data.variables[a][0] < data.variables[b][0] ? -1 : 1; }

    // The images of each trace.
    var imagesByTrace = null;
    function imagesOf(trace) {
      if (!imagesByTrace) {
        imagesByTrace = data.traces.map(function () { return []; });
        images.forEach(function (image) {
          tracesOf(image).forEach(function (at) { imagesByTrace[at].push(image); });
        });
      }
      return imagesByTrace[trace];
    }

    function isPart(step) { return step[0] === "sets" || step[0] === "adds" || step[0] === "takes"; }

    function isOwn(trace) {
      return data.traces[trace][STEPS].some(function (at) {
        return isPart(data.steps[at]) && own.has(data.steps[at][1]);
      });
    }

    function count(number, word) { return number + " " + word + (number === 1 ? "" : "s"); }

    // ---- parts of the page --------------------------------------------------------------------

    function part(name, content, attributes) {
      var element = document.createElement(name);
      [].concat(content === undefined ? [] : content).forEach(function (child) { element.append(child); });
      Object.keys(attributes || {}).forEach(function (key) { element.setAttribute(key, attributes[key]); });
      return element;
    }

    function address(what, name) { return "#" + what + "=" + encodeURIComponent(name); }
    function link(what, name) { return part("a", part("code", name), { href: address(what, name) }); }

    function valueCode(at) {
      var text = data.values[at];
      return part("code", text, text.includes("\n") ? { "class": "lines" } : {});
    }

    // A long path breaks behind its folders.
    function place(file, line) {
      var pieces = (data.files[file] + ":" + line).split(/(?<=\/)/);
      var content = [];
      pieces.forEach(function (piece) { content.push(piece, part("wbr")); });
      return part("span", content, { "class": "place" });
    }

    function placeOf(step) { return place(step[2], step[3]); }

    function layerOf(step) {
      var name = data.names[step[1]];
      if (name === "default") return "default";
      return imageByName.has(name) ? link("image", name) : link("layer", name);
    }

    function whenOf(step) {
      return step[6] < 0 ? [] : [" when ", part("code", data.conditions[step[6]])];
    }

    // The settings that a value consists of; below them, on demand, all settings with what they override.
    function settings(trace) {
      var steps = data.traces[trace][STEPS].map(function (at) { return data.steps[at]; });
      var parts = steps.filter(isPart);
      var cell = part("td", (parts.length ? parts : steps.slice(0, 1)).map(function (step) {
        return part("div", [placeOf(step), " ", layerOf(step)].concat(whenOf(step)));
      }));
      if (steps.length > parts.length || parts.length > 1) {
        var body = steps.map(function (step) {
          var value = step[0] === "unsets" ? "" : valueCode(step[5]);
          return part("tr", [
            part("td", step[0]), part("td", value), part("td", [placeOf(step), " ", layerOf(step)].concat(whenOf(step))),
          ]);
        });
        cell.append(part("details", [
          part("summary", "all " + count(steps.length, "setting") + ", the strongest first"),
          part("table", part("tbody", body)),
        ]));
      }
      return cell;
    }

    function table(heads, rows, caption) {
      var head = part("thead", part("tr", heads.map(function (text) { return part("th", text, { scope: "col" }); })));
      var element = part("table", [part("caption", caption), head, part("tbody", rows)], { "class": "settings" });
      return part("div", element, { "class": "scroll" });
    }

    function rowHead(variable) {
      return part("th", link("variable", data.variables[variable][0]), { scope: "row" });
    }

    function box(id, text, isOn, change) {
      var check = part("input", [], { type: "checkbox", id: id });
      check.checked = isOn;
      check.addEventListener("change", function () { change(check.checked); });
      return part("p", part("label", [check, " " + text], { "for": id }), { "class": "choice" });
    }

    function choice(id, text, chosen) {
      var select = part("select", images.map(function (image) {
        return part("option", image.name, { value: image.name });
      }), { id: id });
      select.value = chosen.name;
      return part("label", [text + " ", select], { "for": id });
    }

    // Two images to choose, and a button: a list that acts at once cannot be used with the keyboard.
    function chooser(a, b) {
      var button = part("button", "Compare", { type: "button", id: "report-compare" });
      button.addEventListener("click", function () {
        var from = byId("report-left").value, to = byId("report-right").value;
        location.hash = "compare=" + encodeURIComponent(from) + "&with=" + encodeURIComponent(to);
      });
      return part("p", [choice("report-left", "Image", a), " ", choice("report-right", "and", b), " ", button], { "class": "choices" });
    }

    function imageLinks(some) {
      var shown = some.slice(0, 200).map(function (image) { return part("li", link("image", image.name)); });
      if (some.length > shown.length) shown.push(part("li", "and " + (some.length - shown.length) + " more"));
      return part("ul", shown, { "class": "names" });
    }

    // ---- views --------------------------------------------------------------------------------

    var onlyOwn = true, onlyDifferent = true;

    function showImage(image) {
      var all = valuesOf(image);
      var names = Array.from(all.keys()).sort(byVariable);
      var shown = names.filter(function (variable) { return !onlyOwn || isOwn(all.get(variable)); });
      var rows = shown.map(function (variable) {
        var trace = all.get(variable);
        return part("tr", [rowHead(variable), part("td", valueCode(data.traces[trace][VALUE])), settings(trace)]);
      });
      var facts = [
        part("dt", "Declared in"), part("dd", place(image.data.file, image.data.line)),
        part("dt", "Target"), part("dd", part("code", data.names[image.data.target])),
        part("dt", "Provider"), part("dd", part("code", data.names[image.data.provider])),
        part("dt", "Layers, the strongest first"), part("dd", image.data.layers.map(function (at) {
          return part("div", imageByName.has(data.names[at]) ? part("code", data.names[at]) : link("layer", data.names[at]));
        })),
      ];
      var other = images[image.at === 0 && images.length > 1 ? 1 : 0];
      return [
        part("h1", image.name, { tabindex: "-1" }),
        part("p", image.doc, { "class": "lead" }),
        part("dl", facts),
        chooser(image, other),
        box("report-own", "Only values that the project sets", onlyOwn, function (isOn) { onlyOwn = isOn; show("report-own"); }),
        table(["Variable", "Value", "Set by"], rows, shown.length + " of " + count(names.length, "value")),
      ];
    }

    function showComparison(a, b) {
      var left = valuesOf(a), right = valuesOf(b);
      var names = Array.from(new Set(Array.from(left.keys()).concat(Array.from(right.keys())))).sort(byVariable);
      var value = function (all, variable) { return all.has(variable) ? data.traces[all.get(variable)][VALUE] : -1; };
      var differs = function (variable) { return value(left, variable) !== value(right, variable); };
      var different = names.filter(differs).length;
      var shown = names.filter(function (variable) { return !onlyDifferent || differs(variable); });
      var cell = function (all, variable) {
        if (!all.has(variable)) return part("td", part("i", "not set"));
        var trace = all.get(variable), of = settings(trace);
        of.prepend(part("div", valueCode(data.traces[trace][VALUE])));
        return of;
      };
      var rows = shown.map(function (variable) {
        var row = part("tr", [rowHead(variable), cell(left, variable), cell(right, variable)]);
        if (differs(variable)) row.className = "differs";
        return row;
      });
      return [
        part("h1", a.name + " and " + b.name, { tabindex: "-1" }),
        chooser(a, b),
        box("report-different", "Only values that differ", onlyDifferent, function (isOn) {
          onlyDifferent = isOn;
          show("report-different");
        }),
        table(["Variable", a.name, b.name], rows, different + " of " + count(names.length, "value") + " differ"),
      ];
    }

    function showVariable(variable) {
      var groups = new Map();
      data.traces.forEach(function (trace, at) {
        if (trace[VARIABLE] !== variable) return;
        if (!groups.has(trace[VALUE])) groups.set(trace[VALUE], []);
        groups.get(trace[VALUE]).push(at);
      });
      var total = function (traces) {
        return traces.reduce(function (sum, at) { return sum + imagesOf(at).length; }, 0);
      };
      var sections = Array.from(groups).sort(function (a, b) { return total(b[1]) - total(a[1]); });
      var rows = sections.map(function (pair) {
        var cell = part("td");
        pair[1].forEach(function (trace) {
          var of = settings(trace);
          cell.append(part("div", Array.from(of.childNodes)), part("details", [
            part("summary", "in " + count(imagesOf(trace).length, "image")), imageLinks(imagesOf(trace)),
          ]));
        });
        return part("tr", [part("td", valueCode(pair[0])), cell]);
      });
      return [
        part("h1", part("code", data.variables[variable][0]), { tabindex: "-1" }),
        part("p", data.variables[variable][1], { "class": "lead" }),
        table(["Value", "Set by"], rows, count(rows.length, "value")),
      ];
    }

    function showLayer(name) {
      var number = data.names.indexOf(name);
      if (number < 0) return null;
      var seen = new Set(), rows = [];
      data.traces.forEach(function (trace) {
        trace[STEPS].forEach(function (at) {
          // A setting that another one overrides in some images is there twice.
          var key = [trace[VARIABLE]].concat(data.steps[at].slice(2)).join();
          if (data.steps[at][1] !== number || seen.has(key)) return;
          seen.add(key);
          rows.push([trace[VARIABLE], data.steps[at]]);
        });
      });
      rows.sort(function (a, b) { return byVariable(a[0], b[0]) || a[1][3] - b[1][3]; });
      var using = images.filter(function (image) { return image.data.layers.includes(number); });
      return [
        part("h1", name, { tabindex: "-1" }),
        part("p", "In " + count(using.length, "image") + ".", { "class": "lead" }),
        table(["Variable", "Value", "Place"], rows.map(function (row) {
          var value = row[1][0] === "unsets" ? "unset" : valueCode(row[1][5]);
          return part("tr", [rowHead(row[0]), part("td", value), part("td", [placeOf(row[1])].concat(whenOf(row[1])))]);
        }), count(rows.length, "setting")),
        part("h2", "Images"),
        imageLinks(using),
      ];
    }

    // The images with the same layers.
    function showAlike(image) {
      var layersOf = function (other) {
        return other.data.layers.filter(function (at) { return data.names[at] !== other.name; }).join();
      };
      var layers = layersOf(image);
      var alike = images.filter(function (other) { return layersOf(other) === layers; });
      return [
        part("h1", count(alike.length, "image"), { tabindex: "-1" }),
        part("p", "They have the same layers.", { "class": "lead" }),
        imageLinks(alike),
      ];
    }

    // ---- addresses ----------------------------------------------------------------------------

    function decode(text) { try { return decodeURIComponent(text); } catch (_) { return text; } }

    function find(hash) {
      var match = /^#(image|images|variable|layer|compare)=([^&]*)(?:&with=(.*))?$/.exec(hash);
      if (!match) return null;
      var name = decode(match[2]);
      var image = imageByName.get(name);
      if (match[1] === "image" || match[1] === "layer") return image ? showImage(image) : showLayer(name);
      if (match[1] === "images") return image ? showAlike(image) : null;
      if (match[1] === "variable") return variableByName.has(name) ? showVariable(variableByName.get(name)) : null;
      var other = decode(match[3] || "");
      return image && imageByName.has(other) ? showComparison(image, imageByName.get(other)) : null;
    }

    // `keep` is the id of the control that keeps the focus.
    function show(keep) {
      var content = find(location.hash);
      overview.hidden = Boolean(content);
      view.hidden = !content;
      view.replaceChildren.apply(view, content || []);
      Array.prototype.forEach.call(byId("report-images").querySelectorAll("a"), function (a) {
        if (a.getAttribute("href") === location.hash) a.setAttribute("aria-current", "page");
        else a.removeAttribute("aria-current");
      });
      var kept = typeof keep === "string" && byId(keep);
      if (kept) return kept.focus();
      if (!content) return;
      var title = view.querySelector("h1");
      title.focus();
      window.scrollTo(0, 0);
    }

    // ---- the list of images -------------------------------------------------------------------

    function fold(text) { return text.toLowerCase().replace(/[_-]/g, " "); }

    function showList() {
      var words = fold(filter.value).split(/\s+/).filter(Boolean);
      var meant = images.filter(function (image) {
        var name = fold(image.name);
        return words.every(function (word) { return name.includes(word); });
      });
      var shown = meant.slice(0, 500).map(function (image) { return part("li", link("image", image.name)); });
      if (meant.length > shown.length) shown.push(part("li", "and " + (meant.length - shown.length) + " more: filter them"));
      byId("report-images").replaceChildren.apply(byId("report-images"), shown);
      byId("report-count").textContent = meant.length === images.length ? String(images.length) : meant.length + " of " + images.length;
    }
    filter.addEventListener("input", showList);

    // ---- search -------------------------------------------------------------------------------

    var index = null, found = [], active = -1;

    function entries() {
      if (index) return index;
      index = images.map(function (image) {
        return { kind: "image", name: image.name, text: image.doc, href: address("image", image.name), low: fold(image.name), more: fold(image.doc) };
      });
      data.variables.forEach(function (variable) {
        index.push({
          kind: "variable", name: variable[0], text: variable[1], href: address("variable", variable[0]),
          low: fold(variable[0]), more: fold(variable[1]),
        });
      });
      var layers = new Set();
      images.forEach(function (image) { image.data.layers.forEach(function (at) { layers.add(data.names[at]); }); });
      layers.forEach(function (name) {
        if (imageByName.has(name)) return;
        index.push({ kind: "layer", name: name, text: "", href: address("layer", name), low: fold(name), more: "" });
      });
      // Each value of a variable once.
      var values = new Map();
      data.traces.forEach(function (trace, at) {
        var key = trace[VARIABLE] + " " + trace[VALUE];
        values.set(key, (values.get(key) || 0) + imagesOf(at).length);
      });
      values.forEach(function (number, key) {
        var of = key.split(" ").map(Number);
        var name = data.variables[of[0]][0], value = data.values[of[1]].slice(0, 300);
        index.push({
          kind: "value in " + count(number, "image"), name: value, text: name, href: address("variable", name),
          low: fold(value), more: fold(name),
        });
      });
      return index;
    }

    function rank(entry, words) {
      var sum = 0;
      for (var word of words) {
        if (entry.low === word) sum += 100;
        else if (entry.low.split(" ").includes(word)) sum += 60;
        else if (entry.low.startsWith(word)) sum += 40;
        else if (entry.low.includes(word)) sum += 20;
        else if (entry.more.includes(word)) sum += 1;
        else return 0;
      }
      return sum + (entry.kind === "image" ? 0.5 : 0);
    }

    function search(query) {
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

    function showResults() {
      list.textContent = "";
      if (!input.value.trim()) return close();
      found = search(input.value);
      found.forEach(function (entry, at) {
        var item = part("li", [part("b", entry.name), part("i", entry.kind), part("span", entry.text)], {
          id: "page-result-" + at, role: "option", "aria-selected": "false",
        });
        item.addEventListener("mousedown", function (event) { event.preventDefault(); go(entry); });
        list.append(item);
      });
      if (!found.length) list.append(part("li", part("p", "No name and no value contains this."), { role: "presentation" }));
      list.hidden = false;
      input.setAttribute("aria-expanded", "true");
      active = -1;
      if (found.length) mark(0);
    }

    function go(entry) {
      close();
      input.blur();
      if (location.hash === entry.href) show();
      else location.hash = entry.href;
    }

    input.addEventListener("input", showResults);
    input.addEventListener("focus", function () { if (input.value) showResults(); });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", function (event) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (list.hidden) return showResults();
        if (!found.length) return;
        var step = event.key === "ArrowDown" ? 1 : found.length - 1;
        mark((Math.max(active, 0) + step) % found.length);
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (found[active]) go(found[active]);
      } else if (event.key === "Escape") {
        event.preventDefault();
        if (!input.value) return input.blur();
        input.value = "";
        showResults();
      }
    });
    document.addEventListener("keydown", function (event) {
      var isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName || "");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.focus();
      input.select();
    });

    var button = byId("page-theme");
    function nameTheme() { button.textContent = "Theme: " + theme; }
    nameTheme();
    button.addEventListener("click", function () {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try { localStorage.setItem("imgspec-theme", theme); } catch (_) { /* not stored */ }
      showTheme();
      nameTheme();
    });

    main.tabIndex = -1;
    window.addEventListener("hashchange", show);
    showList();
    show();
  });
})();
