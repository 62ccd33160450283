// The newest evaluation report: verdicts, then every measure with its interval.

import { call, Refused } from "./api.js";
import { h, svg } from "./dom.js";
import { t } from "./i18n.js";

export function reportView() {
  const body = h("div", { "aria-busy": "true" });
  call("GET", "/report").then(
    (found) => body.replaceChildren(...draw(found)),
    (error) => body.replaceChildren(error instanceof Refused && error.status === 404
      ? h("p.empty", {}, t("noReport"), h("small", {}, error.message))
      : h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline"))),
  ).finally(() => body.setAttribute("aria-busy", "false"));
  return h("div.view", {}, h("h1", {}, t("report")), h("p.lead", {}, t("reportLead")), body);
}

function draw({ name, created, report }) {
  const parts = [h("p.facts", {}, `${name} · ${created.slice(0, 16).replace("T", " ")} UTC`)];
  const verdicts = Array.isArray(report.verdicts) ? report.verdicts : [];
  if (verdicts.length) {
    parts.push(h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, t("kind")), h("th", {}, t("better")), h("th", {}, t("verdict")))),
      h("tbody", {}, verdicts.map((v) => h("tr", {}, h("td", {}, String(v.kind ?? "")), h("td", {}, h("b", {}, String(v.better ?? ""))), h("td", {}, String(v.text ?? "")))))));
  }
  const rows = measures(report);
  for (const [measure, values] of Object.entries(rows)) parts.push(chart(measure, values));
  if (parts.length === 1) parts.push(h("p.empty", {}, t("noReport")));
  return parts;
}

// measure -> [{name, mean, low, high, n}], from either kind of report.
function measures(report) {
  const found = {};
  for (const [name, arm] of Object.entries(report.arms ?? report.runs ?? {})) {
    for (const [measure, value] of Object.entries(arm?.metrics ?? arm ?? {})) {
      const v = typeof value === "number" ? { mean: value } : value;
      if (typeof v?.mean !== "number" || measure === "n") continue;
      (found[measure] ??= []).push({ name, ...v });
    }
  }
  return found;
}

function chart(measure, values) {
  const top = Math.max(1, ...values.map((v) => v.high ?? v.mean));
  const x = (value) => `${(100 * Math.max(0, value)) / top}%`;
  const bar = (v) => svg("svg", { class: "bar", role: "img", "aria-label": `${v.mean.toFixed(3)}`, width: "100%", height: "16" },
    svg("line", { x1: "0", x2: "100%", y1: "8", y2: "8", class: "track" }),
    ...(typeof v.low === "number" ? [svg("line", { x1: x(v.low), x2: x(v.high), y1: "8", y2: "8", class: "interval" })] : []),
    svg("circle", { cx: x(v.mean), cy: "8", r: "5", class: "mean" }));
  return h("section.chart", {}, h("h3", {}, measure), h("table", {}, h("tbody", {}, values.map((v) => h("tr", {},
    h("th", { scope: "row" }, v.name), h("td.plot", {}, bar(v)),
    h("td.narrow", {}, v.mean.toFixed(3), typeof v.low === "number" && h("small", {}, ` ${v.low.toFixed(3)} – ${v.high.toFixed(3)}`)),
    h("td.narrow", {}, v.n ? h("small", {}, `n = ${v.n}`) : ""))))));
}
