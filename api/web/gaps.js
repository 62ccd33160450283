// Questions that the documents did not answer.

import { call, Refused } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

export function gapsView(state) {
  const list = h("div.list", { "aria-busy": "true" });
  async function refresh() {
    try {
      const { gaps } = await call("GET", "/gaps");
      list.replaceChildren(gaps.length ? table(gaps) : h("p.empty", {}, t("noGaps")));
    } catch (error) {
      list.replaceChildren(h("p.error", { role: "alert" }, error instanceof Refused ? error.message : t("offline")));
    }
    list.setAttribute("aria-busy", "false");
  }
  async function settle(gap) {
    await call("DELETE", `/gaps?${new URLSearchParams({ collection: gap.collection, question: gap.question })}`);
    await refresh();
  }
  const table = (gaps) => h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, t("question")), h("th.narrow", {}, t("asked")), h("th.narrow", {}, t("last")), h("th", {}, h("span.unseen", {}, t("settled"))))),
    h("tbody", {}, gaps.map((g) => h("tr", {},
      h("td", {}, g.question, h("small", {}, `${g.reason === "down" ? t("judgedDown") : t("abstained")} · ${g.collection}`)),
      h("td.narrow", {}, String(g.count)), h("td.narrow", {}, g.last_seen.slice(0, 10)),
      h("td.act", {}, h("button", { type: "button", onclick: () => settle(g) }, t("settled")))))));
  refresh();
  return h("div.view", {}, h("h1", {}, t("gaps")), h("p.lead", {}, t("gapsLead")), list);
}
