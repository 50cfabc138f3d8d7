import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { kedaSh } from '@kubernetes-models/keda';
import * as apps from 'kubernetes-models/apps/v1';
import * as autoscaling from 'kubernetes-models/autoscaling/v2';
import * as batch from 'kubernetes-models/batch/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';
import { repositoryRoot } from '../repository.ts';
import { runTool } from './run-tool.ts';

// The manifests against the schemas that Kubernetes and KEDA publish, as kubernetes-models packages them. What only a
// cluster knows (admission, quotas, whether KEDA is there) is not checked.

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly template?: { readonly spec?: PodSpec } };
}

type Model = new (data: never) => { validate(): void };

const models: Readonly<Record<string, Model>> = {
  'v1 Namespace': core.Namespace as Model,
  'v1 Service': core.Service as Model,
  'v1 ServiceAccount': core.ServiceAccount as Model,
  'v1 ConfigMap': core.ConfigMap as Model,
  'apps/v1 Deployment': apps.Deployment as Model,
  'batch/v1 Job': batch.Job as Model,
  'policy/v1 PodDisruptionBudget': policy.PodDisruptionBudget as Model,
  'networking.k8s.io/v1 NetworkPolicy': networking.NetworkPolicy as Model,
  'autoscaling/v2 HorizontalPodAutoscaler': autoscaling.HorizontalPodAutoscaler as Model,
  'keda.sh/v1alpha1 ScaledObject': kedaSh.v1alpha1.ScaledObject as Model,
};

interface PodSpec {
  readonly enableServiceLinks?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext?: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: object };
  readonly containers: readonly {
    readonly name: string;
    readonly livenessProbe?: object;
    readonly readinessProbe?: object;
    readonly resources?: { readonly limits?: { readonly memory?: string } };
    readonly securityContext?: {
      readonly allowPrivilegeEscalation?: boolean;
      readonly readOnlyRootFilesystem?: boolean;
      readonly capabilities?: { readonly drop?: readonly string[] };
    };
  }[];
}

/** What a pod may do that it need not, and what a service lacks. */
function carelessPod({ kind, spec }: Manifest): string[] {
  const pod = spec?.template?.spec;
  if (pod === undefined) return [];
  const problems: string[] = [];
  const want = (holds: boolean, problem: string) => {
    if (!holds) problems.push(problem);
  };
  want(pod.enableServiceLinks === false, 'gets variables of Services');
  want(pod.automountServiceAccountToken === false, 'gets a token of Kubernetes');
  want(pod.securityContext?.runAsNonRoot === true, 'may run as root');
  want(pod.securityContext?.seccompProfile !== undefined, 'has no seccomp profile');
  for (const container of pod.containers) {
    const { securityContext, resources, livenessProbe, readinessProbe } = container;
    want(securityContext?.allowPrivilegeEscalation === false, 'may gain privileges');
    want(securityContext?.readOnlyRootFilesystem === true, 'may write to its root file system');
    want(securityContext?.capabilities?.drop?.includes('ALL') === true, 'keeps capabilities');
    want(resources?.limits?.memory !== undefined, 'has no limit of memory');
    if (kind === 'Deployment')
      want(livenessProbe !== undefined && readinessProbe !== undefined, 'has no probes');
  }
  return problems;
}

/** What is wrong with the manifests in a text of YAML. */
export function manifestProblems(where: string, text: string): string[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) return document.errors.map(({ message }) => `${where}: ${message}`);
    const manifest = document.toJS() as Manifest;
    const name = `${where}: ${manifest.kind} ${manifest.metadata.name}`;
    const model = models[`${manifest.apiVersion} ${manifest.kind}`];
    if (model === undefined) return [`${name} is of a kind that no schema is known for`];
    try {
      new model(manifest as never).validate();
      return carelessPod(manifest).map((problem) => `${name} ${problem}`);
    } catch (error) {
      return [`${name}: ${(error as Error).message}`];
    }
  });
}

const kubernetesFolder = join(repositoryRoot, 'deploy/kubernetes');

/** Every file on its own. */
export async function checkManifests(): Promise<string[]> {
  const files = globSync('*/*.yaml', {
    cwd: kubernetesFolder,
    exclude: ['*/kustomization.yaml', '*/pushfleet.yaml'],
  });
  const problems = files.map(async (file) =>
    manifestProblems(file, await readFile(join(kubernetesFolder, file), 'utf8')),
  );
  return (await Promise.all(problems)).flat();
}

/** What Kustomize makes of the example; undefined where there is no kubectl. @throws Error with what it said */
export async function renderExample(): Promise<string | undefined> {
  const result = await runTool('kubectl', ['kustomize', 'example'], kubernetesFolder);
  if (result === undefined) return undefined;
  if (result.code !== 0) throw new Error(`kubectl kustomize: ${result.stderr.trim()}`);
  return result.stdout;
}

/** What is wrong with the example, rendered; undefined where there is no kubectl. */
export async function checkRendered(): Promise<string[] | undefined> {
  try {
    const rendered = await renderExample();
    return rendered === undefined ? undefined : manifestProblems('rendered', rendered);
  } catch (error) {
    return [(error as Error).message];
  }
}
