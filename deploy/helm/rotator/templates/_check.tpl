{{/*
What a schema can't say. Every fault is told at once, by its path in the values.
*/}}
{{- define "rotator.check" -}}
{{- $faults := list -}}
{{- $values := .Values -}}
{{- if not $values.image.repository -}}
{{- $faults = append $faults "image.repository: say where your image is, such as registry.example.com/rotator" -}}
{{- end -}}
{{- if not $values.config.tenants -}}
{{- $faults = append $faults "config.tenants: name at least one B2C tenant with its keysets; config/rotator.yaml has an example" -}}
{{- end -}}
{{- if and (not (include "rotator.lease" .)) (gt (int $values.replicas) 1) -}}
{{- $faults = append $faults (printf "replicas: %d of them need config.leader_election.enabled: true, or each would write" (int $values.replicas)) -}}
{{- end -}}
{{- $host := dig "http" "host" "0.0.0.0" $values.config -}}
{{- if or (hasPrefix "127." $host) (has $host (list "localhost" "::1")) -}}
{{- $faults = append $faults (printf "config.http.host: nobody could probe or scrape %s in a pod; leave it out" $host) -}}
{{- end -}}
{{- $longest := include "rotator.longestStop" . | int -}}
{{- if and (not (kindIs "invalid" $values.terminationGracePeriodSeconds)) (lt (int $values.terminationGracePeriodSeconds) $longest) -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds: a write that is under way can take longer than %d s; at least %d" (int $values.terminationGracePeriodSeconds) $longest) -}}
{{- end -}}
{{- with $values.config.ca_file -}}
{{- if not (and $values.caConfigMap (hasPrefix "/etc/rotator-ca/" .)) -}}
{{- $faults = append $faults (printf "config.ca_file: %s is not in the pod; name a ConfigMap in caConfigMap, whose keys become files below /etc/rotator-ca/" .) -}}
{{- end -}}
{{- end -}}
{{- if and $values.monitoring.prometheusRule.enabled (not $values.monitoring.prometheusRule.runbookUrl) -}}
{{- $faults = append $faults "monitoring.prometheusRule.runbookUrl: say where your people find deploy/runbook.md" -}}
{{- end -}}
{{- range $index, $tenant := $values.config.tenants -}}
{{- $where := printf "config.tenants[%d].credential" $index -}}
{{- $faults = concat $faults (include "rotator.credentialFaults" (dict "where" $where "credential" $tenant.credential "from" $values "prefix" "" "env" $values.env) | fromJsonArray) -}}
{{- end -}}
{{- $faults = concat $faults (include "rotator.secretFaults" (dict "where" "secrets" "secrets" $values.secrets) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.envFaults" (dict "where" "env" "env" $values.env) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.envFaults" (dict "where" "dryRun.env" "env" $values.dryRun.env) | fromJsonArray) -}}
{{- if $values.dryRun.enabled -}}
{{- $names := list -}}
{{- range $values.config.tenants -}}
{{- $names = append $names .name -}}
{{- $where := printf "dryRun.credentials.%s" .name -}}
{{- $credential := get $values.dryRun.credentials .name -}}
{{- if $credential -}}
{{- $faults = concat $faults (include "rotator.credentialFaults" (dict "where" $where "credential" $credential "from" $values.dryRun "prefix" "dryRun." "env" (include "rotator.dryRunEnv" $ | fromJsonArray)) | fromJsonArray) -}}
{{- else -}}
{{- $faults = append $faults (printf "%s: say who the dry run is there; an app registration that can only read is enough" $where) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $values.dryRun.credentials -}}
{{- if not (has $name $names) -}}
{{- $faults = append $faults (printf "dryRun.credentials.%s: config.tenants has no tenant of that name" $name) -}}
{{- end -}}
{{- end -}}
{{- $faults = concat $faults (include "rotator.secretFaults" (dict "where" "dryRun.secrets" "secrets" $values.dryRun.secrets) | fromJsonArray) -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "the values make no sense:\n  %s\n" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* Where a credential points at something that is not in the pod. A JSON array of faults. */}}
{{- define "rotator.credentialFaults" -}}
{{- $faults := list -}}
{{- $directory := "/var/run/secrets/rotator/" -}}
{{- $given := list -}}
{{- range tuple "client_secret_file" "certificate_file" "federated_token_file" "client_secret_env" -}}
{{- if get $.credential . -}}{{- $given = append $given . -}}{{- end -}}
{{- end -}}
{{- if ne (len $given) 1 -}}
{{- $faults = append $faults (printf "%s: needs exactly one of client_secret_file, client_secret_env, certificate_file, federated_token_file" .where) -}}
{{- end -}}
{{- $files := list -}}
{{- $open := false -}}
{{- range .from.secrets -}}
{{- if .items -}}
{{- range .items -}}{{- $files = append $files (printf "%s%s" $directory .path) -}}{{- end -}}
{{- else -}}
{{- $open = true -}}
{{- end -}}
{{- end -}}
{{- range tuple "client_secret_file" "certificate_file" -}}
{{- with get $.credential . -}}
{{- if not (or (has . $files) (and $open (hasPrefix $directory .))) -}}
{{- $faults = append $faults (printf "%s: %s is not in the pod; name its Secret in %ssecrets, whose keys become files below %s" $.where . $.prefix $directory) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .credential.federated_token_file -}}
{{- $tokens := list -}}
{{- range $.from.workloadIdentity.tokens -}}{{- $tokens = append $tokens (printf "%s%s" $directory .path) -}}{{- end -}}
{{- if not (and $.from.workloadIdentity.enabled (has . $tokens)) -}}
{{- $faults = append $faults (printf "%s: %s is not in the pod; with %sworkloadIdentity.enabled there is %s" $.where . $.prefix (join ", " $tokens)) -}}
{{- end -}}
{{- end -}}
{{- with .credential.client_secret_env -}}
{{- $variables := list -}}
{{- range $.env -}}{{- $variables = append $variables .name -}}{{- end -}}
{{- if not (has . $variables) -}}
{{- $faults = append $faults (printf "%s: %senv has no variable %s" $.where $.prefix .) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{- define "rotator.secretFaults" -}}
{{- $faults := list -}}
{{- range $index, $secret := .secrets -}}
{{- if and (gt (len $.secrets) 1) (not $secret.items) -}}
{{- $faults = append $faults (printf "%s[%d].items: with several Secrets, say which key of %s becomes which file; two could have keys of one name" $.where $index $secret.name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* A setting among the variables would go before the file, from which the chart takes what probes, grace and rights have to be. */}}
{{- define "rotator.envFaults" -}}
{{- $faults := list -}}
{{- $names := list -}}
{{- range $index, $variable := .env -}}
{{- $where := printf "%s[%d]" $.where $index -}}
{{- if hasPrefix "ROTATOR_" (upper .name) -}}
{{- $faults = append $faults (printf "%s.name: %s would be a setting of rotator that the chart does not see; settings go into config" $where .name) -}}
{{- end -}}
{{- if has .name $names -}}
{{- $faults = append $faults (printf "%s.name: %s is there already" $where .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if eq (hasKey . "value") (hasKey . "valueFrom") -}}
{{- $faults = append $faults (printf "%s: %s needs exactly one of value and valueFrom" $where .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
