// Sliders of ddpm_lite without a kernel: native controls over the view that notebooks use. The build puts that view's
// module, ddpm_lite/assets/scrubber.js, in the place marked below, and one file of data a slider beside the page, which hands
// them to `ddpmSliders`. No request leaves the page, and pages work from a folder (file://) too.
(() => {
  "use strict";
  const scrubber = (() => { /* scrubber.js */ })();
  const boxes = new Map(); // id -> { data, element, set }, set once it is mounted

  function add(tag, parent, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    parent.append(node);
    return node;
  }

  const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

  // What a view asks of a model: values, and to hear of their changes.
  function makeModel(values) {
    const heard = {};
    return {
      get: (key) => values[key],
      on: (event, callback) => (heard[event] ??= []).push(callback),
      off: (event, callback) => { heard[event] = (heard[event] ?? []).filter((other) => other !== callback); },
      set(changes, event) {
        Object.assign(values, changes);
        for (const callback of heard[`change:${event}`] ?? []) callback();
      },
    };
  }

  function addRange(parent, name, max, value, id) {
    add("label", parent, { for: id }, name);
    const range = add("input", parent, { id, type: "range", role: "slider", min: 0, max, step: 1, value });
    return range;
  }

  function mountScrub(id, data, box) {
    const row = add("div", box, { class: "ddpm-row" });
    const button = data.play ? add("button", row, { type: "button", class: "ddpm-play" }) : null;
    const range = addRange(row, data.title, data.n - 1, data.value, `${id}-range`);
    const model = makeModel({ value: data.value, sheet: bytes(data.sheet), geometry: data.geometry, labels: data.labels,
      names: data.names, texts: [], caption: true, curves: data.curves });
    let playing = 0, started = 0, first = 0;

    function set(value, from = null) {
      range.value = value;
      model.set({ value: Number(value) }, "value");
      for (const other of data.linked.map((other) => boxes.get(other))) {
        if (other?.set && other !== from) other.set(value, boxes.get(id));
      }
    }
    function show() {
      if (!button) return;
      button.textContent = playing ? "❚❚" : "▶";
      button.setAttribute("aria-label", playing ? "Pause" : "Play");
    }
    function stop() {
      cancelAnimationFrame(playing);
      playing = 0;
      show();
    }
    function tick(now) {
      started ||= now;
      const value = Math.min(data.n - 1, first + Math.floor((now - started) / data.interval));
      if (value !== Number(range.value)) set(value);
      if (value === data.n - 1) return stop();
      playing = requestAnimationFrame(tick);
    }
    button?.addEventListener("click", () => {
      if (playing) return stop();
      if (Number(range.value) === data.n - 1) set(0);
      [first, started] = [Number(range.value), 0];
      playing = requestAnimationFrame(tick);
      show();
    });
    range.addEventListener("input", () => { stop(); set(range.value); });
    show();
    scrubber.render({ model, el: add("div", box) });
    boxes.get(id).set = set;
    const partner = data.linked.map((other) => boxes.get(other)).find((other) => other?.set);
    if (partner) set(partner.now());
    boxes.get(id).now = () => range.value;
  }

  function mountExplore(id, data, box) {
    const chosen = data.controls.map((control) => control.value);
    const place = () => data.controls.reduce((sum, control, k) => sum * control.texts.length + chosen[k], 0);
    const sliders = data.controls.filter((control) => control.kind === "range");
    const words = () => {
      const texts = data.controls.map((control, k) => control.texts[chosen[k]]);
      return {
        labels: [[data.alt, ...data.controls.map((control, k) => `${control.name} = ${texts[k]}`)].join(", ")],
        texts: sliders.map((control) => texts[data.controls.indexOf(control)]),
        sheet: bytes(data.pictures[place()]),
      };
    };
    const model = makeModel({ ...words(), value: 0, names: sliders.map((control) => control.label), caption: false,
      geometry: { columns: 1, scale: 1, panels: [{ name: "", x: 0 }] }, curves: [] });
    let message = null;
    const update = () => {
      const error = data.errors[place()];
      message.textContent = error ?? "";
      message.hidden = !error;
      if (!error) model.set(words(), "sheet");
    };
    for (const [k, control] of (data.still ? [] : data.controls).entries()) {
      const row = add("div", box, { class: "ddpm-row" }), name = `${id}-${control.name}`;
      let input;
      if (control.kind === "range") {
        input = addRange(row, control.label, control.texts.length - 1, control.value, name);
        const said = add("output", row, { for: name }, control.texts[control.value]);
        input.addEventListener("input", () => { said.textContent = control.texts[input.value]; });
      } else if (control.kind === "select") {
        add("label", row, { for: name }, control.label);
        input = add("select", row, { id: name });
        for (const [i, text] of control.texts.entries()) add("option", input, { value: i }, text);
        input.value = control.value;
      } else {
        input = add("input", row, { id: name, type: "checkbox" });
        input.checked = Boolean(control.value);
        add("label", row, { for: name }, control.label);
      }
      input.addEventListener("input", () => {
        chosen[k] = control.kind === "check" ? Number(input.checked) : Number(input.value);
        update();
      });
    }
    message = add("div", box, { class: "ddpm-error", role: "alert" });
    scrubber.render({ model, el: add("div", box) });
    const note = add("p", box, { class: "ddpm-note" });
    note.append(data.still ? "A still picture: its settings are too many to be stored in a page. Live "
      : data.stored < data.all ? `This page stores ${data.stored} of its ${data.all.toLocaleString("en")} settings. All of them `
        : "Live ");
    if (box.dataset.colab) add("a", note, { href: box.dataset.colab }, "in Colab");
    note.append(box.dataset.colab ? " or in JupyterLab." : "in JupyterLab.");
    if (!data.still && data.stored === data.all) note.remove();
    boxes.get(id).set = update;
    update();
  }

  function mount(box) {
    const id = box.id, entry = boxes.get(id);
    if (!entry || entry.mounted) return;
    entry.mounted = true;
    box.replaceChildren();
    (entry.data.kind === "scrub" ? mountScrub : mountExplore)(id, entry.data, box);
  }

  // A sheet of frames takes up to 64 MB once it is decoded: only what comes near the screen is mounted.
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting) {
        near.unobserve(target);
        mount(target);
      }
    }
  }, { rootMargin: "600px" });

  function receive([id, data]) {
    boxes.set(id, { data });
    near.observe(document.getElementById(id));
  }
  // Files of data may come before this one: what waits is taken, what comes later comes here.
  const waiting = window.ddpmSliders ?? [];
  window.ddpmSliders = { push: receive };
  waiting.forEach(receive);

  // What scrolls sideways can be reached by keys.
  const scrollers = document.querySelectorAll("article :is(pre, .formula, .cell_output, .table-wrapper, dt.sig)");
  const reach = () => scrollers.forEach((node) => {
    if (node.scrollWidth > node.clientWidth) node.tabIndex = 0;
    else node.removeAttribute("tabindex");
  });
  addEventListener("load", reach);
  addEventListener("resize", reach);
  addEventListener("beforeprint", () => { for (const id of boxes.keys()) mount(document.getElementById(id)); });
})();
