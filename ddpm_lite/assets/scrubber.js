// The view of `ddpm_lite.widgets`: pictures cut out of one sprite sheet, a caption, an optional curve.
// `value` is linked to an ordinary slider in the browser, so that moving that one needs no kernel.
const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]; // as in plots.PALETTE
const BUTTONS = [["play", "Play or pause"], ["pause", "Play or pause"], ["stop", "Stop, back to the start"],
  ["retweet", "Repeat"]]; // the icons of ipywidgets' Play

function make(tag, parent, attributes = {}) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}

// Draw the curves once; return the function that moves their cursor to frame i.
function drawCurves(curves, width, parent) {
  const height = 96, pad = 6, n = curves[0].y.length;
  const all = curves.flatMap((curve) => curve.y);
  const low = Math.min(...all), span = Math.max(...all) - low || 1;
  const x = (i) => pad + (i / (n - 1)) * (width - 2 * pad);
  const y = (value) => height - pad - ((value - low) / span) * (height - 2 * pad);
  const svg = make("svg:svg", parent, { viewBox: `0 0 ${width} ${height}`, role: "img", class: "ddpm-curve",
    style: `width: ${width}px`, "aria-label": `Curve over the frames: ${curves.map((c) => c.label).join(", ")}` });
  make("svg:path", svg, { class: "ddpm-axis", d: `M${pad} ${pad}V${height - pad}H${width - pad}` });
  for (const [k, curve] of curves.entries()) {
    const points = curve.y.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    make("svg:polyline", svg, { stroke: COLORS[k], points });
  }
  const cursor = make("svg:line", svg, { class: "ddpm-cursor", y1: 0, y2: height });
  const dots = curves.map((_, k) => make("svg:circle", svg, { r: 4.5, fill: COLORS[k] }));
  const legend = make("p", parent);
  const texts = curves.map((_, k) => {
    make("span", legend, { class: "ddpm-key", style: `background: ${COLORS[k]}` });
    return make("span", legend, { class: "ddpm-key-text" });
  });
  return (i) => {
    cursor.setAttribute("x1", x(i));
    cursor.setAttribute("x2", x(i));
    for (const [k, curve] of curves.entries()) {
      dots[k].setAttribute("cx", x(i));
      dots[k].setAttribute("cy", y(curve.y[i]));
      texts[k].textContent = `${curve.label} ${Number(curve.y[i].toPrecision(3))}`;
    }
  };
}

// The sliders beside the view are not ours: give their handles the names that a screen reader reads and their
// values in words. `valuenow` is set where a slider moves over frames. Returns the handles, none before the view
// is in the page.
function nameSliders(el, names, texts, valuenow) {
  const box = el.closest(".ddpm-box");
  const handles = box ? box.querySelectorAll("[role=slider], .ui-slider-handle") : [];
  for (const [k, handle] of handles.entries()) {
    const said = { label: names[k] ?? "", valuetext: texts[k] ?? "", ...valuenow };
    handle.setAttribute("role", "slider");
    for (const [key, value] of Object.entries(said)) handle.setAttribute(`aria-${key}`, value);
    const slider = handle.closest(".widget-slider"), readout = slider?.querySelector(".widget-readout");
    readout?.setAttribute("role", "textbox"); // a number that may be typed
    readout?.setAttribute("aria-label", `${said.label}: type a value`);
    slider?.querySelector('label[title="null"]')?.removeAttribute("title"); // ipywidgets' tooltip where it was given none
  }
  for (const icon of box?.querySelectorAll(".widget-play button i") ?? []) {
    const name = BUTTONS.find(([kind]) => icon.classList.contains(`fa-${kind}`))?.[1];
    if (name && !icon.parentElement.title) icon.parentElement.title = name;
  }
  return handles;
}

function render({ model, el }) {
  const curves = model.get("curves"), names = model.get("names");
  el.classList.add("ddpm-view");
  const row = make("div", el, { class: "ddpm-panels" });
  const views = model.get("geometry").panels.map((panel) => {
    const figure = make("figure", row);
    const canvas = make("canvas", figure, { role: "img" });
    if (panel.name) make("figcaption", figure).textContent = panel.name;
    return { name: panel.name, canvas, context: canvas.getContext("2d") };
  });
  const caption = make("p", el);
  caption.hidden = !model.get("caption");
  let moveCursor = () => {};
  if (curves.length) {
    const { width, scale, panels } = model.get("geometry");
    moveCursor = drawCurves(curves, Math.max(300, width * scale + 8 * (panels.length - 1)), el);
  }

  let sheet = null, shape = null, newest = 0, asked = false, gone = false, tries = 0, watched = false;
  const watcher = new MutationObserver(ask); // the slider writes its own text, also where its value stays

  function draw() {
    asked = false;
    if (gone || !sheet) return;
    const { labels, texts } = shape;
    const i = Math.max(0, Math.min(labels.length - 1, model.get("value")));
    const x = (i % shape.columns) * shape.width, y = Math.floor(i / shape.columns) * shape.height;
    for (const [k, { name, canvas, context }] of views.entries()) {
      const { x: left, width, height } = shape.panels[k];
      context.drawImage(sheet, x + left, y, width, height, 0, 0, width, height);
      canvas.setAttribute("aria-label", name ? `${name}, ${labels[i]}` : labels[i]);
    }
    caption.textContent = labels[i];
    moveCursor(i);
    el.dataset.frame = i; // which picture is on the screen
    const now = { valuemin: 0, valuemax: labels.length - 1, valuenow: i };
    const many = labels.length > 1;
    const handles = nameSliders(el, names, many ? [labels[i]] : texts, many ? now : {});
    if (!watched && handles.length) {
      for (const handle of handles) watcher.observe(handle, { attributeFilter: ["aria-valuetext"] });
      watched = true;
    } else if (!watched && tries++ < 100) ask();
    watcher.takeRecords(); // what was just written here
  }

  function ask() { // at most one picture for each that the screen shows
    if (!asked && !gone) requestAnimationFrame(draw);
    asked = true;
  }

  async function load() {
    const number = ++newest, geometry = model.get("geometry");
    const words = { labels: model.get("labels"), texts: model.get("texts") };
    try {
      const blob = new Blob([model.get("sheet")], { type: "image/png" });
      const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
      if (gone || number !== newest) return bitmap.close();
      sheet?.close();
      sheet = bitmap;
      // a picture of explore is all of its sheet
      const whole = { width: bitmap.width, height: bitmap.height };
      shape = { ...whole, ...geometry, ...words, panels: geometry.panels.map((panel) => ({ ...whole, ...panel })) };
    } catch (error) {
      caption.hidden = false;
      caption.textContent = `The browser could not read the pictures: ${error.message}`;
      return;
    }
    for (const [k, { canvas }] of views.entries()) {
      const { width, height } = shape.panels[k];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      canvas.style.width = `${width * shape.scale}px`;
      canvas.style.imageRendering = shape.scale > 1 ? "pixelated" : "auto";
    }
    ask();
  }

  load();
  model.on("change:value", ask);
  model.on("change:sheet", load);
  return () => {
    gone = true;
    watcher.disconnect();
    model.off("change:value", ask);
    model.off("change:sheet", load);
    sheet?.close();
  };
}

export default { render };
