// Tables that sort by a click on a header, and show the rows that hold a text.

function sortable(table) {
  const body = table.tBodies[0], headers = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const order = row.cells[column].dataset.order, value = Number(order);
    return order !== "" && !Number.isNaN(value) ? value : order.toLowerCase();
  };
  headers.forEach((header, column) => header.querySelector("button").addEventListener("click", () => {
    const numeric = typeof key(body.rows[0], column) === "number";
    const down = header.ariaSort === "none" ? numeric : header.ariaSort === "ascending";
    for (const other of headers) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort((one, other) => {
      const [a, b] = [key(one, column), key(other, column)];
      return (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1);
    });
    body.append(...rows);
  }));
}

function filterable(input) {
  const table = input.closest(".card").querySelector("table");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
