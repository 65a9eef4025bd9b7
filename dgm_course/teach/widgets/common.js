// What both players share: reading the buffer, a clock, a transport bar, a keyboard. Python joins this file with
// the player's own into one ES module, so nothing here imports or exports.

const COLOUR = { ink: "#1a1a1a", grey: "#8a8a8a", blue: "#0072B2", red: "#D55E00", green: "#009E73" };

const clamp = (v, lo, hi) => Math.min(hi, Math.max(lo, v));
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Bytes from the kernel come as a DataView or an ArrayBuffer; typed arrays need them aligned. */
function alignedBytes(value) {
  const raw = value instanceof ArrayBuffer
    ? new Uint8Array(value) : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return raw.byteOffset % 8 === 0 ? raw : raw.slice();
}

const view = (raw, Type, at, count) => new Type(raw.buffer, raw.byteOffset + at, count);

/** An element with attributes and children. Controls keep their keys: JupyterLab takes arrow keys in the capture
    phase unless the focused element itself carries data-lm-suppress-shortcuts. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  if (["button", "input", "select"].includes(tag) || "tabindex" in attributes) {
    node.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const SHAPES = {
  play: "M4 2.5v11l9.5-5.5z", pause: "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z",
  back: "M3 2.5h2v11H3zM13.5 2.5v11L6 8z", next: "M4 3l7 5-7 5zM11.5 3h1.6v10h-1.6z", prev: "M12 3L5 8l7 5zM2.9 3h1.6v10H2.9z",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** A crisp canvas of width x height CSS pixels; drawing is in CSS pixels too. */
function makeCanvas(width, height, attributes = {}) {
  const ratio = clamp(window.devicePixelRatio || 1, 1, 3);
  const canvas = make("canvas", { width: Math.round(width * ratio), height: Math.round(height * ratio), ...attributes });
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return { canvas, pen, ratio };
}

/** Position u in [0, 1] of one run: moves on its own while playing, stops at `stops` when stepped by hand. */
function makeClock({ seconds, stops, moved, changed }) {
  let u = 0, raf = 0, last = 0, rest = 0;
  const clock = {
    speed: 1, loop: true,
    get u() { return u; },
    get playing() { return raf !== 0; },
    seek(to) { u = clamp(to, 0, 1); moved(u); },
    step(count) {
      clock.pause();
      const near = stops.reduce((best, s, i) => (Math.abs(s - u) < Math.abs(stops[best] - u) ? i : best), 0);
      clock.seek(stops[clamp(near + count, 0, stops.length - 1)]);
    },
    play() {
      if (raf) return;
      if (u >= 1) clock.seek(0);
      last = performance.now(); rest = 0;
      raf = requestAnimationFrame(tick);
      changed(true);
    },
    pause() { if (raf) { cancelAnimationFrame(raf); raf = 0; changed(false); } },
    toggle() { if (raf) clock.pause(); else clock.play(); },
  };
  function tick(now) {
    const passed = clamp(now - last, 0, 100) / 1000;
    last = now;
    if (u < 1) clock.seek(u + (passed * clock.speed) / seconds);
    else if (!clock.loop) { clock.pause(); return; }
    else if ((rest += passed) > 0.9) { rest = 0; clock.seek(0); }  // the end is worth a moment's look
    raf = requestAnimationFrame(tick);
  }
  return clock;
}

/** Play button, scrub bar and time label. `say(u)` gives [first label, second label]. */
function makeTransport({ seconds, stops, say, draw }) {
  const word = make("span", { text: "Play" });
  const button = make("button", { type: "button", class: "dgm-play", "aria-label": "Play", onclick: () => clock.toggle() },
    icon("play"), word);
  const bar = make("input", { type: "range", min: 0, max: 1, step: 0.0005, value: 0, "aria-label": "time",
    class: "dgm-time", oninput: () => { clock.pause(); clock.seek(Number(bar.value)); } });
  const first = make("output", { class: "dgm-clock" }), second = make("output", { class: "dgm-clock dgm-second" });
  const clock = makeClock({ seconds, stops, changed(playing) {
    button.replaceChildren(icon(playing ? "pause" : "play"), word);
    word.textContent = playing ? "Pause" : "Play";
    button.setAttribute("aria-label", word.textContent);
  }, moved(u) {
    const [a, b] = say(u);
    first.textContent = a; second.textContent = b || "";
    bar.value = u;
    bar.style.setProperty("--done", `${u * 100}%`);
    bar.setAttribute("aria-valuetext", b ? `${a}, ${b}` : a);
    draw(u);
  } });
  return { clock, node: make("div", { class: "dgm-transport" }, button, bar, make("div", { class: "dgm-clocks" }, first, second)) };
}

/** Keys of a player. Drop-downs, ticks and other sliders keep their own; space on a button presses it. */
function listenKeys(root, actions) {
  root.addEventListener("keydown", (event) => {
    const at = event.target, own = at.matches("select, input:not(.dgm-time)") || (at.matches("button") && event.key === " ");
    const action = actions[event.key];
    if (own || !action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
}

function choice(label, options, value, changed) {
  const select = make("select", { "aria-label": label, onchange: () => changed(select.value) },
    ...options.map(([key, text]) => make("option", { value: key, text, selected: key === value })));
  return make("label", { class: "dgm-field" }, make("span", { text: label }), select);
}

function tick(label, colour, checked, changed, kind = "dot") {
  const box = make("input", { type: "checkbox", checked, onchange: () => changed(box.checked) });
  const chip = make("span", { class: `dgm-chip dgm-${kind}`, style: `--chip:${colour}`, "aria-hidden": "true" });
  return make("label", { class: "dgm-tick" }, box, chip, make("span", { text: label }));
}

function group(title, ...children) {
  return make("div", { class: "dgm-group", role: "group", "aria-label": title }, make("div", { class: "dgm-title", text: title }), ...children);
}

function speedGroup(clock) {
  const speeds = [["0.25", "quarter"], ["0.5", "half"], ["1", "normal"], ["2", "double"], ["4", "fourfold"]];
  const loop = make("input", { type: "checkbox", checked: true, onchange: () => { clock.loop = loop.checked; } });
  return group("Playback", choice("speed", speeds, "1", (value) => { clock.speed = Number(value); }),
    make("label", { class: "dgm-tick" }, loop, make("span", { text: "repeat" })));
}
