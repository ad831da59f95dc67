// SPDX-License-Identifier: GPL-2.0
// Checks of a report in the browser that shows it; faults, or "all is well", go into its last
// element.
const faults = [];
const expect = (what, holds) => holds || faults.push(what);
const visible = (element) => element.getBoundingClientRect();

// Of two colours, how far apart they are to the eye (WCAG's contrast).
const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
const luminance = (colour) => {
	const [r, g, b] = channels(colour).map((n) => n / 255).map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
	const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
	return (x + 0.05) / (y + 0.05);
};

expect("something came from elsewhere", performance.getEntriesByType("resource").length === 0);
expect("no scenarios", document.querySelectorAll("table.sortable tbody tr").length > 0);
expect("it is wider than the window", document.documentElement.scrollWidth <= innerWidth);

for (const svg of document.querySelectorAll("svg")) {
	const { width, height } = visible(svg);
	expect(`a picture of ${width} x ${height}`, width >= 300 && height >= 60);
	for (const text of svg.querySelectorAll("text")) {
		expect(`text cannot be read: ${text.textContent}`,
			contrast(getComputedStyle(text).fill, getComputedStyle(document.body).backgroundColor) > 4.5);
		const [inner, outer] = [visible(text), visible(svg)];
		expect(`text is cut off: ${text.textContent}`, inner.left >= outer.left - 1 && inner.right <= outer.right + 1);
	}
}

const ground = getComputedStyle(document.body).backgroundColor;
for (const element of document.querySelectorAll("p, h1, h2, h3, td, th, summary, figcaption, .tile strong, .tile span")) {
	let own = element;
	while (own && getComputedStyle(own).backgroundColor === "rgba(0, 0, 0, 0)") own = own.parentElement;
	const back = own ? getComputedStyle(own).backgroundColor : ground;
	const ratio = contrast(getComputedStyle(element).color, back);
	expect(`${element.tagName} "${element.textContent.slice(0, 30)}" has a contrast of ${ratio.toFixed(1)}`, ratio >= 4.5);
}

// What failed is first, and red.
const failed = document.querySelectorAll("table.wide tr.failed, details.failed");
for (const element of failed) {
	const before = element.previousElementSibling;
	expect(`${element.id || "a row"} comes after one that did not fail`,
		!before || !["TR", "DETAILS"].includes(before.tagName) || before.className === "failed");
}
if (failed.length) {
	const [red, green, blue] = channels(getComputedStyle(document.querySelector("#failures")).color);
	expect("what failed is not red", red > 1.5 * green && red > 1.5 * blue);
}

// A click sorts, the next one the other way.
const table = document.querySelector("table.sortable"), head = [...table.tHead.rows].at(-1).cells[2];
const column = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value));
head.click();
expect("a click does not sort", column().every((n, i, all) => !i || all[i - 1] <= n));
head.click();
expect("another click does not turn it round", column().every((n, i, all) => !i || all[i - 1] >= n));

// Folded, until one is wanted.
const details = document.querySelector("details[id]");
expect("details are open", !document.querySelector("details[open]"));
location.hash = details.id;
open();
expect("what a link leads to is not open", details.open);
details.open = true;
expect("it is wider than the window with details open", document.documentElement.scrollWidth <= innerWidth);

const said = document.createElement("pre");
said.id = "checked";
said.textContent = [...new Set(faults)].slice(0, 8).join("; ") || "all is well";
document.body.append(said);
