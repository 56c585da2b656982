"use strict";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => {
        const text = row.cells[column].textContent.trim();
        return { row, text, number: parseFloat(text) };
      });
      rows.sort((one, other) => {
        if (!one.text || !other.text) return !one.text - !other.text;
        const numbers = !isNaN(one.number) && !isNaN(other.number);
        const order = numbers ? one.number - other.number : one.text.localeCompare(other.text, "en");
        return up ? order : -order;
      });
      body.append(...rows.map((entry) => entry.row));
    });
  });
}
