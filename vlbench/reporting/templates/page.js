"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    if (head.querySelector("svg") || table.tBodies[0].rows.length < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.ariaSort === "ascending";
      const order = down ? -1 : 1;
      const value = (row) => {
        const cell = row.cells[place];
        const numbers = cell.dataset.v ? Object.values(JSON.parse(cell.dataset.v)).map(Number) : [];
        return numbers.length ? numbers[0] : cell.textContent;
      };
      const last = (each) => each === "" || each === "-" || Number.isNaN(each);
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (last(x) || last(y)) return last(x) - last(y);
        if (typeof x === "number" && typeof y === "number") return order * (x - y);
        return order * String(x).localeCompare(String(y), "en", { numeric: true });
      });
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.ariaSort = down ? "descending" : "ascending";
      table.tBodies[0].append(...rows);
    });
  });
}
