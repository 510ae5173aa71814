// The control panel works without this file. With it, dialogs are modal, tokens come
// and go by themselves, and long operations show how far they are.
"use strict";

(() => {
	const live = document.getElementById("live");
	const root = document.documentElement;
	root.classList.add("js");

	const say = (text) => { live.textContent = ""; live.textContent = text; };

	// unreachable tells, once, that the panel does not answer.
	function unreachable() {
		say(live.dataset.failed);
		const place = modal.open ? modal.querySelector(".dialog") : document.getElementById("notices");
		if (!place || place.querySelector(".unreachable")) return;
		const note = document.createElement("p");
		note.className = "notice bad unreachable";
		note.textContent = live.dataset.failed;
		place.prepend(note);
	}

	// Dialogs: a page with a section.dialog, shown over the page that leads to it.

	const modal = document.createElement("dialog");
	modal.setAttribute("aria-labelledby", "dialog-title");
	document.body.append(modal);
	let opener = null; // what had the focus

	modal.addEventListener("close", () => {
		if (modal.open) return; // the event is late: the next dialog is there already
		modal.replaceChildren();
		if (opener && opener.isConnected) opener.focus();
		opener = null;
		if (stale) refresh();
	});

	// ask fetches a page or sends a form. The server answers with a page for the
	// dialog, or says where to go.
	async function ask(url, options = {}) {
		let answer;
		try {
			answer = await fetch(url, { ...options, headers: { "Panel-Dialog": "1" }, credentials: "same-origin", redirect: "error" });
		} catch {
			unreachable();
			return;
		}
		const open = answer.headers.get("Panel-Open");
		if (open) { await ask(open); return; }
		if (options.method) stale = true; // a wrong PIN has cost a try
		const to = answer.headers.get("Panel-Location");
		if (to) { location.assign(to); return; }
		const page = new DOMParser().parseFromString(await answer.text(), "text/html");
		const section = page.querySelector("section.dialog");
		if (!section) { location.assign(url); return; }
		show(section);
	}

	const ended = new Set(); // tasks whose end was told, maybe before they are shown

	function show(section) {
		const id = section.dataset.task;
		if (id && ended.has(id) && !section.hasAttribute("data-over")) { ask("/task/" + id); return; }
		modal.className = section.classList.contains("wide") ? "wide" : "";
		modal.replaceChildren(document.importNode(section, true));
		if (!modal.open) { opener = document.activeElement; modal.showModal(); }
		prepare(modal);
		// What destroys something is not what the Enter key does first.
		const first = modal.querySelector("[autofocus]:not(:disabled)") || modal.querySelector(".danger") && modal.querySelector("#cancel");
		const problem = modal.querySelector("#problem");
		if (problem && !first) problem.focus();
		else if (first) first.focus();
		else if (modal.scrollHeight > modal.clientHeight) { // its buttons are at the end of a long text
			const title = modal.querySelector("h1");
			title.tabIndex = -1;
			title.focus();
			modal.scrollTop = 0;
		}
	}

	// prepare is done once for everything that comes into the page.
	function prepare(part) {
		for (const box of part.querySelectorAll("[data-hides]")) {
			const hidden = document.getElementById(box.dataset.hides) || part.querySelector("#" + box.dataset.hides);
			const apply = () => {
				hidden.hidden = box.checked;
				for (const input of hidden.querySelectorAll("input")) input.disabled = box.checked;
			};
			box.addEventListener("change", apply);
			apply();
		}
		for (const zone of part.querySelectorAll("[data-drop]")) {
			const input = zone.querySelector("input[type=file]");
			zone.addEventListener("dragover", (e) => { e.preventDefault(); zone.classList.add("over"); });
			zone.addEventListener("dragleave", () => zone.classList.remove("over"));
			zone.addEventListener("drop", (e) => {
				e.preventDefault();
				zone.classList.remove("over");
				if (e.dataTransfer.files.length) take(input, e.dataTransfer.files);
			});
			input.addEventListener("change", () => take(input));
		}
	}

	// take gives a field the files that were dropped, and shows which it has.
	function take(input, files) {
		if (files) input.files = files;
		const name = input.parentElement.querySelector("#file-name");
		name.textContent = input.files.length ? input.files[0].name : name.dataset.none;
	}

	document.addEventListener("click", (e) => {
		const link = e.target.closest("a");
		if (!link || e.defaultPrevented || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey) return;
		if (link.hasAttribute("data-dialog")) {
			e.preventDefault();
			ask(link.href);
		} else if (modal.contains(link) && link.hasAttribute("data-cancel")) {
			e.preventDefault();
			modal.close();
		}
	});

	document.addEventListener("submit", (e) => {
		const form = e.target, button = e.submitter;
		if (form.id === "close-form" && source) source.close(); // its end would load this page again
		if (button && button.hasAttribute("data-dialog-form")) {
			e.preventDefault();
			ask(form.action + "?" + new URLSearchParams(new FormData(form)));
			return;
		}
		if (!modal.contains(form)) return;
		e.preventDefault();
		for (const b of form.querySelectorAll("button")) b.disabled = true;
		const data = new FormData(form, button);
		const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
		ask(form.action, { method: "POST", body }).finally(() => {
			for (const b of form.querySelectorAll("button")) b.disabled = false;
		});
	});

	document.addEventListener("change", (e) => {
		if (e.target.id === "token") e.target.form.requestSubmit();
	});

	// The keyboard: its layout cannot be asked for, but a letter shows its alphabet.

	document.addEventListener("keydown", (e) => {
		if (!(e.target instanceof HTMLElement) || !e.target.hasAttribute("data-pin")) return;
		const line = e.target.closest("form").querySelector("#keyboard");
		if (!line || e.key.length !== 1) return;
		const caps = e.getModifierState("CapsLock");
		const kind = /\p{Script=Cyrillic}/u.test(e.key) ? "cyrillic" : /\p{L}/u.test(e.key) ? "latin" : "digits";
		line.classList.toggle("caps", caps);
		const text = line.dataset[kind] + (caps ? " · " + line.dataset.caps : "");
		const shown = line.querySelector("#keyboard-text");
		if (shown.textContent !== text) shown.textContent = text;
	});

	// A file that is dropped anywhere on the list of certificates opens the import.

	document.addEventListener("dragover", (e) => { if (document.getElementById("certs-form")) e.preventDefault(); });
	document.addEventListener("drop", async (e) => {
		const link = document.querySelector("a#import");
		if (!document.getElementById("certs-form") || e.defaultPrevented) return;
		e.preventDefault();
		if (!link || modal.open || !e.dataTransfer.files.length) return;
		const files = e.dataTransfer.files;
		await ask(link.href);
		const input = modal.querySelector("input[type=file]");
		if (input) take(input, files);
	});

	// News from the server.

	let stale = false; // the page behind the dialog is out of date
	let asked = 0; // how often the page was asked for: a late answer is an old one

	async function refresh() {
		if (modal.open) { stale = true; return; }
		stale = false;
		if (!document.getElementById("token-bar")) return; // it shows no token
		const turn = ++asked;
		let answer, text;
		try {
			answer = await fetch(location.href, { headers: { "Panel-Refresh": "1" }, credentials: "same-origin" });
			text = await answer.text();
		} catch {
			unreachable();
			return;
		}
		if (turn !== asked) return;
		if (!answer.ok) { location.reload(); return; }
		const page = new DOMParser().parseFromString(text, "text/html");
		const fresh = page.getElementById("main"), old = document.getElementById("main");
		if (!fresh) return;
		if (modal.open) { stale = true; return; }
		const focused = document.activeElement && document.activeElement.id;
		const ticked = [...old.querySelectorAll("input[name=item]:checked")].map((box) => box.value);
		old.replaceWith(document.importNode(fresh, true));
		for (const box of document.querySelectorAll("input[name=item]")) box.checked = ticked.includes(box.value);
		prepare(document.getElementById("main"));
		const again = focused && document.getElementById(focused);
		if (again) again.focus();
		const notices = document.getElementById("notices").innerText.trim();
		if (notices) say(notices); // a place that is new is not read out
	}

	function task(data) {
		if (data.over) ended.add(data.id);
		for (const part of document.querySelectorAll(`[data-task="${CSS.escape(data.id)}"]`)) {
			if (part.hasAttribute("data-over")) continue;
			const bar = part.querySelector("progress");
			if (bar && data.percent > 0) bar.value = data.percent;
			if (!data.over) continue;
			part.setAttribute("data-over", "");
			if (modal.contains(part)) ask("/task/" + data.id);
			else if (part.classList.contains("dialog")) location.reload();
			else refresh();
		}
	}

	let source = null;

	// over leaves of the page what is still true: the program may have ended, so that
	// nothing can be asked for any more.
	function over() {
		source.close();
		if (modal.open) modal.close();
		const text = document.createElement("p");
		text.id = "message";
		text.textContent = live.dataset.over;
		document.getElementById("main").replaceChildren(text);
		for (const part of document.querySelectorAll("nav, footer, .languages")) part.remove();
		say(live.dataset.over);
	}

	function listen() {
		if (source || document.hidden) return;
		source = new EventSource("/events?seen=" + (document.getElementById("main").dataset.seen || ""));
		source.addEventListener("tokens", () => {
			const field = modal.open && modal.querySelector("input[name=token]");
			if (field) gone(field.value);
			refresh();
		});
		source.addEventListener("task", (e) => task(JSON.parse(e.data)));
		source.addEventListener("session", over);
		source.addEventListener("open", () => root.classList.add("live"));
		source.addEventListener("error", lost);
	}

	// lost finds out why no events come: the program may have ended without a word, or
	// the session while the machine slept. Otherwise the browser connects again.
	async function lost() {
		root.classList.remove("live");
		let answer;
		try {
			answer = await fetch("/settings", { headers: { "Panel-Refresh": "1", "Panel-Dialog": "1" }, credentials: "same-origin" });
		} catch {
			unreachable();
			return;
		}
		if (!answer.ok) location.reload();
	}

	// gone tells in an open dialog that its token was pulled out.
	async function gone(token) {
		let answer;
		try {
			answer = await fetch("/", { headers: { "Panel-Refresh": "1", "Panel-Dialog": "1" }, credentials: "same-origin" });
		} catch {
			return;
		}
		const page = new DOMParser().parseFromString(await answer.text(), "text/html");
		const there = [...page.querySelectorAll("#token option")].some((o) => o.value === token);
		if (there || !modal.open || modal.querySelector("#gone")) return;
		const note = document.createElement("div");
		note.id = "gone";
		note.className = "problem";
		note.setAttribute("role", "alert");
		const text = document.createElement("p");
		text.textContent = live.dataset.gone;
		note.append(text);
		modal.querySelector("h1").after(note);
		for (const b of modal.querySelectorAll("form button")) b.disabled = true;
	}

	// A browser has few connections to one host: a page that nobody sees needs none.
	document.addEventListener("visibilitychange", () => {
		if (document.hidden && source) { source.close(); source = null; } else if (!document.hidden) { listen(); refresh(); }
	});

	const problem = document.querySelector("main > #problem, main .dialog #problem");
	if (problem && !document.querySelector("[autofocus]")) problem.focus();
	prepare(document);
	if (live) listen();
})();
