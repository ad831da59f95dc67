// SPDX-License-Identifier: GPL-2.0
// A click on a column's head sorts by it; the next one turns the order round.
for (const table of document.querySelectorAll("table.sortable")) {
	const heads = [...table.tHead.rows].at(-1).cells;
	[...heads].forEach((head, column) => head.addEventListener("click", () => {
		const down = head.getAttribute("aria-sort") === "ascending";
		const key = (row) => {
			const text = row.cells[column].dataset.value ?? row.cells[column].textContent;
			return isNaN(parseFloat(text)) ? text : parseFloat(text);
		};
		for (const other of heads) other.removeAttribute("aria-sort");
		head.setAttribute("aria-sort", down ? "descending" : "ascending");
		const body = table.tBodies[0];
		const rows = [...body.rows].sort((a, b) => {
			const [x, y] = [key(a), key(b)];
			const order = typeof x === typeof y && typeof x === "number" ? x - y : String(x).localeCompare(String(y));
			return down ? -order : order;
		});
		body.append(...rows);
	}));
}

// What a link leads to is open.
const open = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.setAttribute("open", "");
addEventListener("hashchange", open);
open();
