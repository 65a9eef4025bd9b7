// What a page of the site does by itself: set the formulas, change the theme, wake the players, search the slides.
// Classic scripts only: a page opened from a disk may load those, where modules and requests are refused.
"use strict";

const dgmSite = (() => {
  const modules = {}, states = {};

  // --- scripts, each loaded once
  const loading = {};
  const load = (file) => loading[file] ||= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = file;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });

  // --- players
  function bytes(text) {
    return new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  /** What a player asks of its widget model, without a kernel behind it. */
  function model(state) {
    return { get: (name) => state[name], set: (name, value) => { state[name] = value; },
      save_changes() {}, send() {}, on() {}, off() {} };
  }

  /** Put the player in the place of its strip; where anything is missing the strip stays. */
  async function wake(figure) {
    const { module, player } = figure.dataset;
    try {
      await Promise.all([load(module), load(player)]);
      const state = states[player](), place = document.createElement("div");
      figure.prepend(place);
      if (state._css && !document.getElementById(module)) {
        const style = document.createElement("style");
        style.id = module;
        style.textContent = state._css;
        document.head.append(style);
      }
      const made = (modules[module].made ||= modules[module]());
      await made.render({ model: model(state), el: place });
      figure.querySelector("img").remove();
      figure.classList.add("awake");
    } catch (wrong) {
      console.error(`This player stays a picture: ${wrong}`);
      figure.querySelector(":scope > div")?.remove();
    }
  }

  function players() {
    const watch = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach(({ target }) => {
      watch.unobserve(target);
      wake(target);
    }), { rootMargin: "600px" });
    document.querySelectorAll("figure[data-player]").forEach((figure) => watch.observe(figure));
  }

  // --- formulas
  /** From the top, a thirtieth of a second at a time, so that the page answers from the start. */
  function formulas() {
    const places = [...document.querySelectorAll(".math")];
    (function some() {
      for (const until = performance.now() + 33; places.length && performance.now() < until;) {
        const place = places.shift(), tex = place.textContent;
        katex.render(tex, place, { displayMode: place.classList.contains("display"), throwOnError: false });
      }
      if (places.length) setTimeout(some);
    })();
  }

  // --- theme
  const system = matchMedia("(prefers-color-scheme: dark)");
  const remembered = { get() { try { return localStorage.getItem("dgm-theme"); } catch { return null; } },
    set(value) { try { localStorage.setItem("dgm-theme", value); } catch { /* a private window: not remembered */ } } };

  function theme(chosen) {
    const dark = (chosen || (system.matches ? "dark" : "light")) === "dark", root = document.documentElement;
    root.dataset.theme = dark ? "dark" : "light";
    root.dataset.jpThemeLight = String(!dark);  // by this the players know
    const button = document.getElementById("theme");
    button.hidden = false;
    button.textContent = dark ? "Light" : "Dark";
  }

  // --- the slide index
  function search(box) {
    box.addEventListener("input", () => document.querySelectorAll("tbody tr").forEach((row) => {
      row.hidden = !row.textContent.toLowerCase().includes(box.value.trim().toLowerCase());
    }));
  }

  document.addEventListener("DOMContentLoaded", () => {
    theme(remembered.get());
    system.addEventListener("change", () => theme(remembered.get()));
    document.getElementById("theme").addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      remembered.set(next);
      theme(next);
    });
    formulas();
    players();
    const box = document.getElementById("find");
    if (box) search(box);
  });

  return { module(name, make) { modules[name] = make; },
    data(name, plain, held) {
      states[name] = () => ({ ...plain, ...Object.fromEntries(Object.entries(held).map(([key, text]) => [key, bytes(text)])) });
    } };
})();
