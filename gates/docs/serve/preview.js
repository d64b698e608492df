'use strict';
// Asks the local server for findings, shows them, and loads the page again after a build.
(async () => {
  const panel = document.createElement('aside');
  panel.id = 'preview';
  panel.setAttribute('aria-label', 'Findings');
  panel.setAttribute('role', 'status');
  const show = ({ findings, error }) => {
    panel.replaceChildren();
    const lines = error ? [{ code: 'error', message: error, path: '', fix: '' }] : findings;
    for (const f of lines) {
      const line = document.createElement('p');
      const where = document.createElement('b');
      where.textContent = f.path + (f.line ? `:${f.line}` : '');
      const fix = document.createElement('small');
      fix.textContent = f.fix;
      line.append(where, ` ${f.message} [${f.code}] `, fix);
      panel.append(line);
    }
    if (lines.length) document.body.append(panel); else panel.remove();
  };
  let version = 0;
  for (;;) {
    try {
      const state = await (await fetch(`/-/state?version=${version}`)).json();
      if (version && state.version !== version) { location.reload(); return; }
      version = state.version;
      show(state);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000)); // the server may come back
      version ||= 1;
    }
  }
})();
