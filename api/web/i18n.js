// Every word of the page, in English and Chinese.

const WORDS = {
  en: {
    name: "Documents", chat: "Ask", documents: "Documents", gaps: "Gaps", report: "Evaluation",
    newChat: "New conversation", collection: "Collection", language: "中文", key: "Key",
    welcome: "What would you like to know?",
    lead: "Answers come from your documents alone, and every sentence is checked against its source.",
    ask: "Ask a question…", send: "Send", stop: "Stop", stopped: "Stopped.", you: "You", assistant: "Answer",
    searching: "Reading the documents…", writing: "Writing…", checking: "Checking the sources…",
    waiting: (n, s) => `In the queue: number ${n}, about ${s} s`,
    sources: "Sources", passages: "Passages found", source: "Source", page: "page", close: "Close",
    supported: "supported by its source", partly: "partly supported", unsupported: "not supported by a source",
    legend: "How well the sources support each sentence", refused: "The documents do not say.",
    helpful: "Helpful", unhelpful: "Not helpful", comment: "What was wrong, or missing?", sendComment: "Send",
    thanks: "Thank you. It was noted.", copy: "Copy", copied: "Copied.",
    failed: "That did not work", retry: "Try again", modelDown: "The language model cannot answer now. These passages speak of your question.",
    text: "Text", picture: "Page", earlier: "Earlier", later: "Later", hardToRead: "This page was hard to read: check the original.",
    noDocuments: "No documents yet.", addFirst: "Add the first one: drop files here.",
    drop: "Drop files here, or", choose: "choose files", groups: "Visible to groups (comma-separated; empty = everyone)",
    title: "Title", path: "File", date: "Date", visible: "Visible to", remove: "Remove", sure: (t) => `Remove “${t}” from the knowledge base?`,
    removed: "Removed.", uploading: "Uploading", queued: "Waiting", running: "Reading", done: "Ready", failedJob: "Failed", cancelled: "Cancelled",
    adminOnly: "Only an administrator's key can do this.",
    gapsLead: "Questions that the documents did not answer, most asked first. Add a document that does.",
    noGaps: "No open questions.", asked: "Asked", reason: "Reason", last: "Last", settled: "Settled", abstained: "not in the documents", judgedDown: "judged not helpful",
    reportLead: "The latest evaluation on golden questions, with 95 % intervals.", noReport: "No evaluation yet.", wholeReport: "Save the whole report", verdicts: "Verdicts", nothingDecided: "Nothing is decided yet.", undecided: (n) => `Undecided (${n})`, question: "Question",
    correct: "Correct", f1: "F1", outdated: "Outdated answers (less is better)", refusal_precision: "Refusals that were right", refusal_recall: "Unanswerable questions refused",
    citation_precision: "Citations that were right", citation_recall: "Sources that were cited", latency_p50: "Median seconds to the whole answer", first_token: "Seconds to the first word", memory_mb: "Memory, MB",
    keyNeeded: "This service needs a key.", keyHint: "Ask whoever runs it, or make one with: rag keys create", enter: "Enter", remember: "Remember it on this device", keyWrong: "This key is not valid, or was revoked.", forget: "Forget the key",
    filterDocs: "Filter by title or file", count: (n) => `${n} documents`, seconds: (s) => `${s} s`, offline: "The service cannot be reached.", of: "of", degraded: "The language model does not answer; search works.", starting: "Models are loading; the first answer may take a moment.",
    cutOff: "The answer reached its length limit.",
  },
  zh: {
    name: "文档问答", chat: "提问", documents: "文档", gaps: "内容缺口", report: "评测",
    newChat: "新对话", collection: "知识库", language: "English", key: "密钥",
    welcome: "您想了解什么？",
    lead: "答案只来自您的文档，每一句都与出处核对。",
    ask: "输入问题…", send: "发送", stop: "停止", stopped: "已停止。", you: "您", assistant: "回答",
    searching: "正在查阅文档…", writing: "正在作答…", checking: "正在核对出处…",
    waiting: (n, s) => `排队中：第 ${n} 位，约 ${s} 秒`,
    sources: "出处", passages: "找到的段落", source: "出处", page: "第", close: "关闭",
    supported: "有出处支持", partly: "部分有出处", unsupported: "没有出处支持",
    legend: "每句话的出处支持程度", refused: "文档中没有相关内容。",
    helpful: "有帮助", unhelpful: "没帮助", comment: "哪里有误，或缺少什么？", sendComment: "提交",
    thanks: "谢谢，已记录。", copy: "复制", copied: "已复制。",
    failed: "出错了", retry: "重试", modelDown: "语言模型暂时无法作答。以下段落与您的问题有关。",
    text: "文本", picture: "原页", earlier: "上文", later: "下文", hardToRead: "此页识别质量较差，请核对原件。",
    noDocuments: "还没有文档。", addFirst: "把文件拖到这里，添加第一份。",
    drop: "把文件拖到这里，或", choose: "选择文件", groups: "可见的组（逗号分隔；留空为所有人）",
    title: "标题", path: "文件", date: "日期", visible: "可见范围", remove: "删除", sure: (t) => `确定从知识库删除“${t}”？`,
    removed: "已删除。", uploading: "上传中", queued: "等待中", running: "读取中", done: "可检索", failedJob: "失败", cancelled: "已取消",
    adminOnly: "需要管理员密钥。",
    gapsLead: "文档未能回答的问题，按提问次数排列。补充相应文档即可。",
    noGaps: "没有待解决的问题。", asked: "次数", reason: "原因", last: "最近", settled: "已解决", abstained: "文档中没有", judgedDown: "评为没帮助",
    reportLead: "最近一次标准问题评测，附 95 % 置信区间。", noReport: "还没有评测。", wholeReport: "保存完整报告", verdicts: "结论", nothingDecided: "尚无定论。", undecided: (n) => `未分高下（${n}）`, question: "问题",
    correct: "正确率", f1: "F1", outdated: "过时答案（越少越好）", refusal_precision: "拒答正确率", refusal_recall: "无答案问题的拒答率",
    citation_precision: "引用正确率", citation_recall: "出处引用率", latency_p50: "完整回答的中位秒数", first_token: "首字秒数", memory_mb: "内存（MB）",
    keyNeeded: "此服务需要密钥。", keyHint: "请向管理员索取，或运行：rag keys create", enter: "进入", remember: "在此设备上记住", keyWrong: "密钥无效或已撤销。", forget: "清除密钥",
    filterDocs: "按标题或文件筛选", count: (n) => `${n} 份文档`, seconds: (s) => `${s} 秒`, offline: "无法连接到服务。", of: "/", degraded: "语言模型没有响应；检索可用。", starting: "正在加载模型，首次回答会稍慢。",
    cutOff: "答案已达到长度上限。",
  },
};

let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");

export const current = () => language;

export function t(name, ...values) {
  const found = WORDS[language][name] ?? WORDS.en[name] ?? name;
  return typeof found === "function" ? found(...values) : found;
}

export function switchLanguage() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
}

export function pageLabel(page) {
  return language === "zh" ? `第 ${page} 页` : `page ${page}`;
}
