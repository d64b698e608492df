async (blocks) => {
  mermaid.initialize({
    startOnLoad: false, securityLevel: 'strict', theme: 'neutral', deterministicIds: true, fontFamily: 'sans-serif',
    htmlLabels: false, flowchart: { htmlLabels: false, useMaxWidth: false },
  });
  const drawings = [];
  for (const { id, source } of blocks) {
    try {
      await mermaid.parse(source);
      const { svg } = await mermaid.render(`d-${id}`, source);
      const holder = document.createElement('div');
      holder.innerHTML = svg;
      drawings.push({ id, svg: new XMLSerializer().serializeToString(holder.querySelector('svg')) });
    } catch (e) {
      const line = e.hash?.loc?.first_line ?? e.hash?.line ?? 0;
      drawings.push({ id, error: String(e.message || e), line: Number(line) || 0 });
    }
  }
  return drawings;
}
