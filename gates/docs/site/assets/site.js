'use strict';
(() => {
  const root = document.currentScript.dataset.root;
  const page = document.documentElement;

  // Light and dark.
  const button = document.getElementById('theme');
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (page.dataset.theme || (system.matches ? 'dark' : 'light')) === 'dark';
  const label = () => { button.textContent = dark() ? 'Light' : 'Dark'; button.setAttribute('aria-label', `Use ${dark() ? 'light' : 'dark'} colours`); };
  button.addEventListener('click', () => {
    page.dataset.theme = dark() ? 'light' : 'dark';
    try { localStorage.setItem('theme', page.dataset.theme); } catch { /* then it holds for this page */ }
    label();
  });
  system.addEventListener('change', label);
  label();
  button.hidden = false;

  // On a phone the list of pages is folded.
  if (matchMedia('(max-width: 60rem)').matches) document.querySelector('.pages details').open = false;

  // Search: the index is loaded when it is first needed.
  const input = document.getElementById('search');
  const list = document.getElementById('results');
  const found = document.getElementById('found');
  document.querySelector('search').hidden = false;
  let index, loading, current = -1;

  const load = () => loading ||= new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${root}assets/search-index.js`;
    script.onload = () => {
      index = new MiniSearch({ idField: 'u', fields: ['h', 'p', 't'], storeFields: ['u', 'p', 'h', 't'],
        // Codes such as ci.test are found whole and by their parts.
        tokenize: (text) => text.split(/[\s,;()[\]{}"'`|]+/).flatMap((word) => [word, ...(/[.:_/-]/.test(word) ? word.split(/[.:_/-]+/) : [])]).filter(Boolean),
        searchOptions: { boost: { h: 4, p: 2 }, prefix: true, fuzzy: (term) => term.length > 4 ? 0.2 : 0, combineWith: 'AND' } });
      index.addAll(window.searchIndex);
      resolve();
    };
    script.onerror = () => reject(new Error('the search index cannot be loaded'));
    document.head.append(script);
  });

  const excerpt = (text, terms) => {
    const low = text.toLowerCase();
    const at = Math.max(0, Math.min(...terms.map((t) => low.indexOf(t)).filter((i) => i >= 0), text.length) - 40);
    return (at > 0 && at < text.length ? '…' : '') + text.slice(at < text.length ? at : 0, (at < text.length ? at : 0) + 140);
  };

  const close = () => {
    list.hidden = true; current = -1;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  };

  const choose = (at) => {
    const items = [...list.children];
    if (!items.length) return;
    current = (at + items.length) % items.length;
    items.forEach((item, i) => item.setAttribute('aria-selected', String(i === current)));
    input.setAttribute('aria-activedescendant', items[current].id);
    items[current].scrollIntoView({ block: 'nearest' });
  };

  const show = async () => {
    const query = input.value.trim();
    if (!query) { close(); list.replaceChildren(); found.textContent = ''; return; }
    await load();
    if (query !== input.value.trim()) return;
    const results = index.search(query).slice(0, 12);
    list.replaceChildren(...results.map((r, i) => {
      const item = document.createElement('li');
      item.id = `result-${i}`;
      item.setAttribute('role', 'option');
      item.dataset.href = root + r.u;
      const head = document.createElement('b');
      head.textContent = r.h === r.p ? r.p : `${r.p} › ${r.h}`;
      const text = document.createElement('span');
      text.textContent = excerpt(r.t, r.terms);
      item.append(head, text);
      item.addEventListener('mousedown', (e) => { e.preventDefault(); open(i); });
      return item;
    }));
    found.textContent = results.length ? `${results.length} results` : 'Nothing found';
    if (!results.length) {
      const none = document.createElement('li');
      none.id = 'result-0'; none.setAttribute('role', 'option'); none.setAttribute('aria-disabled', 'true');
      none.textContent = 'Nothing found';
      list.append(none);
    }
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
    if (results.length) choose(0);
  };

  const open = (at) => {
    const item = list.children[at];
    if (item && item.dataset.href) { close(); location.href = item.dataset.href; }
  };

  input.addEventListener('focus', () => load().catch(() => {}));
  input.addEventListener('input', () => show().catch((e) => { found.textContent = e.message; }));
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (e) => {
    switch (e.key) {
      case 'ArrowDown': e.preventDefault(); choose(current + 1); break;
      case 'ArrowUp': e.preventDefault(); choose(current - 1); break;
      case 'Enter': e.preventDefault(); open(current); break;
      case 'Escape': if (!list.hidden) { e.preventDefault(); close(); } else input.blur(); break;
    }
  });
  document.addEventListener('keydown', (e) => {
    if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || /^(input|textarea|select)$/i.test(document.activeElement.tagName)) return;
    e.preventDefault();
    input.focus();
  });
})();
