{{/* Name of all objects: the release name, or release and chart name where the release does not contain it. */}}
{{- define "tokenturn.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tokenturn.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tokenturn.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "tokenturn.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tokenturn.serviceAccount" -}}
{{- default (include "tokenturn.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The labels of an alert, of the values of prometheusRule. */}}
{{- define "tokenturn.alertLabels" -}}
{{- with .alertLabels -}}
labels:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The operator refuses a part of it that has two levels. The schema cannot say that. */}}
{{- define "tokenturn.checkLogLevel" -}}
{{- $seen := dict -}}
{{- range splitList "," .Values.logLevel -}}
{{- $part := ternary (trim . | splitList "=" | first) "tokenturn" (contains "=" .) -}}
{{- if hasKey $seen $part -}}
{{- fail (printf "logLevel: %s has two levels in %q: keep one" $part $.Values.logLevel) -}}
{{- end -}}
{{- $_ := set $seen $part true -}}
{{- end -}}
{{- end -}}

{{/* A Role in a namespace that does not exist would fail in the middle of the installation. Without a cluster (helm template, --dry-run) there is
nothing to look up; the release's namespace may be created after this. */}}
{{- define "tokenturn.checkNamespaces" -}}
{{- if and .Values.rbac.create .Values.watchNamespaces -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}
{{- range .Values.watchNamespaces -}}
{{- if not (or (eq . $.Release.Namespace) (lookup "v1" "Namespace" "" .)) -}}
{{- fail (printf "watchNamespaces: there is no namespace %s; create it first (kubectl create namespace %s), or remove it from the list" . .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The subject of every binding. */}}
{{- define "tokenturn.subjects" -}}
- kind: ServiceAccount
  name: {{ include "tokenturn.serviceAccount" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The same, as a FlowSchema writes it. */}}
{{- define "tokenturn.flowSubjects" -}}
- kind: ServiceAccount
  serviceAccount:
    name: {{ include "tokenturn.serviceAccount" . }}
    namespace: {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The operator's image: by its digest where one is said. There is no default repository, so that nobody's image runs by accident. */}}
{{- define "tokenturn.image" -}}
{{- $repository := required "image.repository is missing: name the repository that you pushed the operator's image to (README.md, \"On a cluster\")" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}
