// Runs in a page beside the report, which is in a frame: looks at it as a reader would, and writes what it saw.
"use strict";
const frame = document.querySelector("iframe");

/** The relative luminance of a colour: WCAG 2.1. */
const luminance = (color) => {
  const [red, green, blue] = color.match(/[\d.]+/g).map(Number);
  const linear = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};

/** What a text is read against: the first background that is not transparent. */
const background = (view, element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = view.getComputedStyle(at).backgroundColor;
    if (!/^rgba\(.*, 0\)$/.test(color)) return color;
  }
  return "rgb(255, 255, 255)";
};

const look = () => {
  const view = frame.contentWindow;
  const page = frame.contentDocument;
  const saw = { errors: view.errors.slice(), width: page.documentElement.clientWidth };
  saw.scroll_width = page.documentElement.scrollWidth;
  // What is wider than the page and cannot be scrolled by itself.
  saw.wide = Array.from(page.querySelectorAll("main *"))
    .filter((it) => !it.closest(".scroll, pre") && it.getBoundingClientRect().right > saw.width + 1)
    .map((it) => `${it.tagName} ${it.textContent.slice(0, 60)}`);
  const links = Array.from(page.querySelectorAll("a[href^='#']"));
  saw.links = links.length;
  saw.dangling = links.map((it) => it.getAttribute("href")).filter((it) => !page.getElementById(it.slice(1)));
  saw.outside = Array.from(page.querySelectorAll("[src], link[href]")).map((it) => it.outerHTML.slice(0, 80));
  const pictures = Array.from(page.querySelectorAll("svg, img"));
  saw.pictures = pictures.length;
  saw.without_text = pictures
    .filter((it) => !(it.getAttribute("aria-label") || it.getAttribute("alt")) && it.getAttribute("aria-hidden") !== "true")
    .length;
  saw.pale = [];
  for (const it of page.querySelectorAll("main *:not(svg *)")) {
    const own = Array.from(it.childNodes).some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own) continue;
    const [one, other] = [view.getComputedStyle(it).color, background(view, it)].map(luminance);
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) saw.pale.push(`${it.tagName} ${it.textContent.slice(0, 60)}: ${contrast.toFixed(2)}`);
  }
  // Sorts each table by each of its columns, in both orders and back.
  saw.sorted = 0;
  saw.unsorted = [];
  for (const button of page.querySelectorAll("th button")) {
    const table = button.closest("table");
    const column = button.closest("th").cellIndex;
    const texts = () => Array.from(table.tBodies[0].rows).map((row) => row.cells[column].textContent);
    const before = texts();
    button.click();
    const once = texts();
    button.click();
    const twice = texts();
    button.click();
    const isSame = (one, other) => one.every((text, at) => text === other[at]);
    const kept = [once, twice].every((order) => isSame(before.slice().sort(), order.slice().sort()));
    if (!kept || !isSame(before, texts())) saw.unsorted.push(`${table.caption.textContent}: ${button.textContent}`);
    const [first, last] = [once[0], twice[0]].map((it) => Number(it.replace(/,/g, "")));
    if (first < last && button.closest("th").classList.contains("n")) saw.unsorted.push(`${first} before ${last}`);
    saw.sorted += 1;
  }
  saw.errors.push(...view.errors.slice(saw.errors.length));
  return saw;
};

addEventListener("load", () => {
  const out = document.createElement("pre");
  out.id = "saw";
  try {
    out.textContent = JSON.stringify(look());
  } catch (error) {
    out.textContent = JSON.stringify({ failed: String(error) });
  }
  document.body.append(out);
});
