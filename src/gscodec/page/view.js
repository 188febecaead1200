// Shows one scene; `createViewer` is supersplat-viewer's. What to show is in the element #scene:
// settings and rotation, and either the address of a .ply or, in #data, a gzipped one as base64.
const scene = JSON.parse(document.getElementById("scene").textContent);
const asked = new URL(location.href).searchParams;
const bare = asked.has("bare"); // the picture alone
document.body.classList.toggle("bare", bare);

async function embedded() {
  const text = document.getElementById("data").textContent;
  const packed = await fetch(`data:application/gzip;base64,${text}`);
  const stream = packed.body.pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream, { headers: { "content-length": scene.bytes } });
}

function told(problem) {
  document.getElementById("problem").textContent = `cannot show the scene: ${problem}`;
}
window.addEventListener("error", (event) => told(event.message));
window.addEventListener("unhandledrejection", (event) => told(event.reason));

// All that the camera shows is shown, however wide the window is; the viewer's angle is that of
// the longer edge.
for (const camera of scene.settings.cameras) {
  const tall = window.innerHeight / window.innerWidth;
  const [across, down] = scene.extent; // tangents of half angles
  const half = Math.max(down, across * tall);
  camera.initial.fov = Math.atan(Math.max(half, half / tall)) * 360 / Math.PI;
}

// The viewer shows newcomers which mouse buttons do what; on a phone that would hide the scene.
try {
  const key = "controlsPanelOpen";
  if (window.innerWidth < 700 && localStorage.getItem(key) === null) localStorage.setItem(key, false);
} catch { /* storage may be denied */ }

createViewer({
  container: document.getElementById("viewer"),
  settings: scene.settings,
  contentUrl: scene.url,
  contentFilename: "scene.ply",
  contents: scene.embedded ? embedded() : undefined,
  renderer: asked.has("webgpu") ? "webgpu" : "webgl", // what every browser has
  ui: !bare,
  noanim: true,
  aa: scene.antialiased,
}).then((viewer) => {
  // The viewer has y up, and turns scenes about z by half a turn; here it is told how to.
  const turn = (entity) => entity.name === "gsplat" && entity.setLocalRotation(...scene.rotation);
  viewer.app.root.on("childinsert", turn);
  // Nothing that the file holds is left out for being small; near is what is near along the axis.
  Object.assign(viewer.app.scene.gsplat, { minPixelSize: 0, minContribution: 0, radialSorting: false });
  viewer.app.root.children.forEach(turn);
  viewer.events.on("loaded:changed", () => {
    viewer.state.cameraMode = "orbit"; // it stands still until somebody moves it
    document.body.dataset.shown = "yes";
  });
}).catch(told);
