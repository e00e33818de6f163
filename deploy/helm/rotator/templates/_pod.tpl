{{/* The names of image.pullSecrets, imagePullSecrets and global.imagePullSecrets, each once; a JSON array. */}}
{{- define "rotator.pullSecrets" -}}
{{- $names := .Values.image.pullSecrets -}}
{{- range concat .Values.imagePullSecrets (default list (default dict .Values.global).imagePullSecrets) -}}
{{- $names = append $names (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .) -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* The part of the spec that all pods share; it meets the restricted Pod Security Standard. */}}
{{- define "rotator.podBasics" -}}
automountServiceAccountToken: false
# Otherwise a Service with the name rotator would set variables such as ROTATOR_PORT, which look like settings.
enableServiceLinks: false
{{- with include "rotator.pullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "rotator.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end -}}

{{/* Additional labels; "credentials" is .Values or .Values.dryRun. The webhook of AKS needs the label. */}}
{{- define "rotator.podLabels" -}}
{{- $own := ternary (dict "azure.workload.identity/use" "true") dict .credentials.workloadIdentity.enabled -}}
{{- with merge $own (deepCopy (default dict .credentials.podLabels)) .root.Values.podLabels .root.Values.commonLabels -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The annotations of the daemon's pods. */}}
{{- define "rotator.podAnnotations" -}}
{{- with merge (deepCopy .Values.podAnnotations) .Values.commonAnnotations -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/*
The annotations of the dry run's pods: its own, and the daemon's except those of Vault's agent, which would mount the credential
that can write.
*/}}
{{- define "rotator.dryRunPodAnnotations" -}}
{{- $shared := dict -}}
{{- range $name, $value := .Values.podAnnotations -}}
{{- if not (hasPrefix "vault.hashicorp.com/" $name) -}}{{- $_ := set $shared $name $value -}}{{- end -}}
{{- end -}}
{{- with merge (deepCopy .Values.dryRun.podAnnotations) $shared .Values.commonAnnotations -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "rotator.env" -}}
- name: ROTATOR_CONFIG
  value: /etc/rotator/rotator.yaml
{{- with . }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The variables of a shard, for "root" and "shard", as a JSON array; empty if there is one shard. */}}
{{- define "rotator.shardEnv" -}}
{{- $variables := list -}}
{{- if gt (int .root.Values.shards) 1 -}}
{{- $variables = append $variables (dict "name" "ROTATOR_SHARD__INDEX" "value" (toString .shard)) -}}
{{- $variables = append $variables (dict "name" "ROTATOR_SHARD__TOTAL" "value" (.root.Values.shards | int | toString)) -}}
{{- end -}}
{{- toJson $variables -}}
{{- end -}}

{{/*
The variables of the dry run, as a JSON array: its own, and those of the daemon that cannot be a credential that can write.
Variables from a Secret, and those that the daemon's credentials name, are left out, unless the dry run's credentials name them.
*/}}
{{- define "rotator.dryRunEnv" -}}
{{- $own := list -}}
{{- range .Values.dryRun.env -}}{{- $own = append $own .name -}}{{- end -}}
{{- $wanted := list -}}
{{- range $_, $credential := .Values.dryRun.credentials -}}{{- $wanted = append $wanted (get $credential "client_secret_env") -}}{{- end -}}
{{- $writes := list -}}
{{- range .Values.config.tenants -}}{{- $writes = append $writes (get .credential "client_secret_env") -}}{{- end -}}
{{- $variables := list -}}
{{- range .Values.env -}}
{{- $secret := or (has .name $writes) (hasKey (default dict .valueFrom) "secretKeyRef") -}}
{{- if and (not (has .name $own)) (or (not $secret) (has .name $wanted)) -}}
{{- $variables = append $variables . -}}
{{- end -}}
{{- end -}}
{{- concat $variables .Values.dryRun.env | toJson -}}
{{- end -}}

{{/* "true" if there are credentials in files; of .Values or .Values.dryRun. */}}
{{- define "rotator.hasCredentials" -}}
{{- if or .secrets .workloadIdentity.enabled -}}true{{- end -}}
{{- end -}}

{{/* Directories, never a subPath: a subPath mount is never updated. */}}
{{- define "rotator.mounts" -}}
- name: config
  mountPath: /etc/rotator
  readOnly: true
{{- if include "rotator.hasCredentials" .credentials }}
- name: credentials
  mountPath: /var/run/secrets/rotator
  readOnly: true
{{- end }}
{{- if .root.Values.caConfigMap }}
- name: ca
  mountPath: /etc/rotator-ca
  readOnly: true
{{- end }}
{{- range .credentials.extraVolumeMounts }}
- name: {{ .name | quote }}
  mountPath: {{ .mountPath | quote }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "rotator.volumes" -}}
- name: config
  configMap:
    name: {{ .configMap | quote }}
{{- if include "rotator.hasCredentials" .credentials }}
- name: credentials
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- range .credentials.secrets }}
      - secret:
          name: {{ .name | quote }}
          {{- with .items }}
          items: {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- end }}
      {{- if .credentials.workloadIdentity.enabled }}
      {{- range .credentials.workloadIdentity.tokens }}
      - serviceAccountToken:
          audience: {{ .audience | quote }}
          expirationSeconds: {{ default 3600 .expirationSeconds }}
          path: {{ .path | quote }}
      {{- end }}
      {{- end }}
{{- end }}
{{- with .root.Values.caConfigMap }}
- name: ca
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with .credentials.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rotator.identityAnnotations" -}}
{{- if .workloadIdentity.enabled }}
{{- with .workloadIdentity.clientId }}
azure.workload.identity/client-id: {{ . | quote }}
{{- end }}
{{- with .workloadIdentity.tenantId }}
azure.workload.identity/tenant-id: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}
