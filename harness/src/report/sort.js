// Lets a table be sorted by a column: by the first number of a cell, as in "at least 3.1", or by its text.
"use strict";
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (!body || body.rows.length < 3) continue;
  const original = Array.from(body.rows);
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const first = text.replace(/,(?=\d{3})/g, "").match(/-?\d+(\.\d+)?(e[+-]?\d+)?/);
    const number = first ? Number(first[0]) : NaN;
    return { number, text };
  };
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      // Numbers: the largest first. A third press restores the order.
      const isNumeric = head.classList.contains("n");
      const turns = isNumeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const next = turns[(turns.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      let rows = original;
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        rows = Array.from(original).sort((a, b) => {
          const [one, other] = [key(a, column), key(b, column)];
          if (!isNumeric) return sign * one.text.localeCompare(other.text);
          // What has no figure is last in either order.
          const missing = Number.isNaN(one.number) - Number.isNaN(other.number);
          return missing || (Number.isNaN(one.number) ? 0 : sign * (one.number - other.number));
        });
      }
      body.append(...rows);
    });
  });
}
